"""Images: read from outside and decoded in full, to know that they are whole; and decoded as they are in a tar."""

import hashlib
import io
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from synaug.data import layout
from synaug.data.manifest import TarTable
from synaug.data.store import Store, locate
from synaug.data.webdataset import image_bytes, read_image_bytes
from synaug.errors import DataError

# What PIL raises for an image that does not decode; UnidentifiedImageError is an OSError.
BROKEN = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
KEPT_FORMATS = {"JPEG": "jpg", "PNG": "png"}  # stored byte for byte; other formats become JPEG


@dataclass(frozen=True)
class DecodedImage:
    """An image as it came, and as it is stored. broken: why it does not decode; then there is no image."""

    sha256: str
    image: bytes = b""
    extension: str = ""
    broken: str = ""


def read(source: Path | bytes) -> DecodedImage:
    """Read and decode an image from outside, in full. Raises DataError for a file that cannot be read at all."""
    data = content(source)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image, extension = stored_form(data)
    except BROKEN as error:
        return DecodedImage(sha256, broken=_reason(error))
    return DecodedImage(sha256, image, extension)


def read_in_order(sources: Iterable[Path | bytes]) -> Iterator[DecodedImage]:
    """Read each source, by a few threads a little ahead: memory holds a few dozen images."""
    threads = min(8, os.cpu_count() or 1)
    pending: deque[Future[DecodedImage]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for source in sources:
            pending.append(pool.submit(read, source))
            if len(pending) > 4 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def content(source: Path | bytes) -> bytes:
    """Return encoded bytes, read from their file where they have one. Raises DataError."""
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error


def stored_form(data: bytes) -> tuple[bytes, str]:
    """Return bytes and extension of an image as it is stored; it is decoded in full. Raises what is in BROKEN."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if extension := KEPT_FORMATS.get(image.format or ""):
            return data, extension
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=95)
        return buffer.getvalue(), "jpg"


def broken_rows(path: Path, table: TarTable, pool: ThreadPoolExecutor) -> dict[int, str]:
    """Find the rows whose image does not decode, and why, in the tar at `path`."""
    with open(path, "rb") as tar:
        reasons = pool.map(lambda row: read(image_bytes(tar, table, row)).broken, range(len(table.key)))
        return {row: why for row, why in enumerate(reasons) if why}


def read_rgb(store: Store, table: TarTable, row: int) -> Image.Image:
    """Read the image of one row, RGB, and nothing else of its tar.

    Raises DataError for one that is broken or missing.
    """
    return decode_rgb(read_image_bytes(store, table, row), store, table, row)


def decode_rgb(data: bytes, store: Store, table: TarTable, row: int) -> Image.Image:
    """Decode the encoded image of one row to RGB. Raises DataError for a broken one."""
    with opened(data, store, table, row) as image:
        return image.convert("RGB")


@contextmanager
def opened(data: bytes, store: Store, table: TarTable, row: int) -> Iterator[Image.Image]:
    """Open the encoded image of one row, not decoded yet.

    Raises DataError when it does not decode within the `with`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except BROKEN as error:
        raise DataError(cannot_be_decoded(store, table, row, _reason(error))) from error


def cannot_be_decoded(store: Store, table: TarTable, row: int, reason: str, *, advice: str = "") -> str:
    """Say which image of which tar does not decode, why, and what to do.

    advice: in place of what to do about an image that is already stored.
    """
    where, key = locate(store, table.tar)
    if layout.is_synthetic(table.tar):
        advice = advice or f"delete {where.url}/{key} and its manifest, and run the images stage again"
    advice = advice or "repair or remove it and import the split again"
    return f"{where.url}/{key}: image {table.key[row]} cannot be decoded ({reason}); {advice}"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no image format that is known"
    return " ".join(str(error).split()) or type(error).__name__
