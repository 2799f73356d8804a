"""Small objects through a pod's log: gzip and base64 between two marker lines. gzip's own checksum tells what was changed on the way."""

import base64
import gzip
import re
import zlib

from synaug.data import layout
from synaug.errors import DataError, UsageError

BEGIN, END = "----- synaug begin", "----- synaug end"
HEADER = re.compile(rf"{BEGIN} (?P<key>\S+)")
LINE = 4000  # characters; container runtimes cut lines at 16 KiB
LARGEST = 7_000_000  # characters; the kubelet rotates a log at 10 MiB, and only the newest file is read back


def key_of(run: str, what: str) -> str:
    """report, preview or logs/STAGE-UNIT -> the object's key. Raises UsageError."""
    if what == "report":
        return layout.report(run)
    if what == "preview":
        return layout.preview(run, "contact-sheet.png")
    stage, _, unit = what.removeprefix("logs/").partition("-")
    if what.startswith("logs/") and stage and unit:
        return layout.log(run, stage, unit)
    raise UsageError(f"--what {what}: give report, preview, or logs/STAGE-UNIT like logs/images-017 or logs/index-all")


def encode(key: str, data: bytes) -> list[str]:
    """The lines of the log. Raises DataError for what a log would cut."""
    text = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    if len(text) > LARGEST:
        size = f"{len(text):,} characters packed, {LARGEST:,} at most"
        raise DataError(f"{key} is too large to go through a log ({size}); copy it from the store")
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return [f"{BEGIN} {key}", *lines, END]


def decode(log: str) -> tuple[str, bytes]:
    """(key, data) from a pod's log. Raises DataError where it is cut or changed on the way."""
    lines = log.splitlines()
    found = [(n, header) for n, line in enumerate(lines) if (header := HEADER.fullmatch(line.strip()))]
    if not found:
        raise DataError("the pod's log holds no object; fetch it again")
    start, header = found[-1]
    end = next((n for n in range(start + 1, len(lines)) if lines[n].strip() == END), None)
    if end is None:
        raise DataError(f"the log of {header['key']} ends early; fetch it again")
    try:
        data = gzip.decompress(
            base64.b64decode("".join(line.strip() for line in lines[start + 1 : end]), validate=True)
        )
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{header['key']} was damaged on its way through the log ({error}); fetch it again") from error
    return header["key"], data
