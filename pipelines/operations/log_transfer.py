"""Small objects of the store by way of a pod's log: the client never talks to the store itself.

In the pod, gzip and base64 between two marker lines; gzip's own checksum finds what was changed on the way.
"""

import base64
import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from pipelines import names
from pipelines.api import wait, workflow_request
from pipelines.api.client import Cluster
from pipelines.operations import one_pod_workflow
from pipelines.status.argo_nodes import tasks
from pipelines.status.read_snapshot import ARGO_LABEL, pod_of
from synaug.data import layout
from synaug.errors import DataError, SynaugError, TransientError, UsageError

BEGIN, END = "----- synaug begin", "----- synaug end"
HEADER = re.compile(rf"{BEGIN} (?P<key>\S+)")
LINE = 4000  # characters; container runtimes cut lines at 16 KiB
LARGEST = 7_000_000  # characters; the kubelet rotates a log at 10 MiB, and only the newest file is read back
WORK = Path("work")


class StoredObject(NamedTuple):
    """An object of the store."""

    key: str
    data: bytes


def key_of(run: str, what: str) -> str:
    """Return the object's key; what: report, preview or logs/STAGE-UNIT. Raises UsageError."""
    if what == "report":
        return layout.report(run)
    if what == "preview":
        return layout.preview(run, "contact-sheet.png")
    stage, _, unit = what.removeprefix("logs/").partition("-")
    if what.startswith("logs/") and stage and unit:
        return layout.log(run, stage, unit)
    raise UsageError(f"--what {what}: give report, preview, or logs/STAGE-UNIT like logs/images-017 or logs/index-all")


def encode(key: str, data: bytes) -> list[str]:
    """Pack an object into the lines of a log. Raises DataError for what a log would cut."""
    text = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    if len(text) > LARGEST:
        size = f"{len(text):,} characters packed, {LARGEST:,} at most"
        raise DataError(f"{key} is too large to go through a log ({size}); copy it from the store")
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return [f"{BEGIN} {key}", *lines, END]


def decode(log: str) -> StoredObject:
    """Unpack the object in a pod's log. Raises DataError where it is cut or changed on the way."""
    lines = log.splitlines()
    headers = [(n, header["key"]) for n, line in enumerate(lines) if (header := HEADER.fullmatch(line.strip()))]
    if not headers:
        raise DataError("the pod's log holds no object; fetch it again")
    start, key = headers[-1]
    end = next((n for n in range(start + 1, len(lines)) if lines[n].strip() == END), None)
    if end is None:
        raise DataError(f"the log of {key} ends early; fetch it again")
    text = "".join(line.strip() for line in lines[start + 1 : end])
    try:
        data = gzip.decompress(base64.b64decode(text, validate=True))
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{key} was damaged on its way through the log ({error}); fetch it again") from error
    return StoredObject(key, data)


def fetch_object(cluster: Cluster, run: str, what: str) -> bytes:
    """Fetch an object's bytes; what: report, preview or logs/STAGE-UNIT.

    Raises what the pod failed of; DataError where it arrives cut or changed.
    """
    name = names.helper_workflow(run, "fetch")
    log: dict[str, str] = {}

    def read(workflow: dict) -> None:
        """Read the log of the pod, which stays until the Workflow is deleted."""
        for task in tasks(workflow):
            pod = pod_of(task, cluster.pods(f"{ARGO_LABEL}={name}"))
            if pod and pod["status"].get("phase") in ("Running", "Succeeded") and END not in log.get("text", ""):
                try:
                    log["text"] = "\n".join(cluster.follow_log(pod["metadata"]["name"]))
                except TransientError:
                    raise
                except SynaugError:  # its container is not there yet
                    continue

    body = workflow_request.workflow("fetch", name, {"run": run, "what": what}, run)
    one_pod_workflow.run(cluster, body, replace_live=True, watching=read)
    if "text" not in log:
        raise TransientError(f"the log of {name} was gone before it could be read; run this again")
    data = decode(log["text"]).data
    wait.delete(cluster, name)
    return data


def save(data: bytes, name: str) -> Path:
    """Write work/NAME; return its path."""
    WORK.mkdir(exist_ok=True)
    path = WORK / name
    path.write_bytes(data)
    return path
