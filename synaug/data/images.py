"""Reading images from outside: decoded once, in full, to know that they are whole, and kept as they are stored."""

import hashlib
import io
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from synaug.data.manifest import TarTable
from synaug.errors import DataError

KEPT_FORMATS = {"JPEG": "jpg", "PNG": "png"}  # stored byte for byte; other formats become JPEG


@dataclass(frozen=True)
class DecodedImage:
    """An image as it came, and as it is stored. broken: why it does not decode; then there is no image."""

    sha256: str
    image: bytes = b""
    extension: str = ""
    broken: str = ""


def read(source: Path | bytes) -> DecodedImage:
    """Raises DataError for a file that cannot be read at all."""
    data = content(source)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image, extension = stored_form(data)
    except Image.UnidentifiedImageError:
        return DecodedImage(sha256, broken="no image format that is known")
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:  # what PIL raises for broken files
        return DecodedImage(sha256, broken=" ".join(str(error).split()) or type(error).__name__)
    return DecodedImage(sha256, image, extension)


def read_in_order(sources: Iterable[Path | bytes]) -> Iterator[DecodedImage]:
    """Of each source, by a few threads a little ahead: memory holds a few dozen images."""
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
    try:
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error


def stored_form(data: bytes) -> tuple[bytes, str]:
    """(bytes, extension) of an image as it is stored; it is decoded in full. Raises what PIL raises for a broken one."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if extension := KEPT_FORMATS.get(image.format or ""):
            return data, extension
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=95)
        return buffer.getvalue(), "jpg"


def broken_rows(path: Path, table: TarTable, pool: ThreadPoolExecutor) -> dict[int, str]:
    """Row -> why its image does not decode, of the tar at `path`."""

    def check(row: int) -> str:
        with open(path, "rb") as file:
            file.seek(table.offset[row])
            return read(file.read(table.length[row])).broken

    return {row: why for row, why in enumerate(pool.map(check, range(len(table.key)))) if why}
