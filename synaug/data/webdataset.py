"""WebDataset tars: written byte-reproducibly, scanned, and read by offset."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from synaug.data.manifest import TarTable
from synaug.data.store import Store, locate
from synaug.errors import DataError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
LONGEST_NAME = 100  # of a USTAR member without a folder


class _Hashed(io.BufferedIOBase):
    """Counts and hashes what is written through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sha256, self.position = file, hashlib.sha256(), 0

    def write(self, data: "ReadableBuffer", /) -> int:
        self.file.write(data)
        self.sha256.update(data)
        size = memoryview(data).nbytes
        self.position += size
        return size

    def tell(self) -> int:
        return self.position


class TarWriter:
    """One USTAR tar; equal samples give equal bytes (owner, mode and time are fixed).

    file: a path, or a binary file open for writing that the caller closes. A sample is its image, then `.cls` (the
    label as text), `.txt` (its prompt) and `.json` (its metadata).
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        self._closes = isinstance(file, Path)
        self._file = open(file, "wb") if isinstance(file, Path) else file  # noqa: SIM115 - close closes it
        self._hashed = _Hashed(self._file)
        self._tar = tarfile.TarFile(fileobj=self._hashed, mode="w", format=tarfile.USTAR_FORMAT)
        self._columns: dict[str, list] = {"key": [], "label": [], "offset": [], "length": []}

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._hashed.position

    def add(
        self,
        key: str,
        image: bytes,
        label: int,
        *,
        text: str | None = None,
        metadata: dict | None = None,
        extension: str = "jpg",
    ) -> None:
        """Add a sample. Raises DataError for a key that cannot be one.

        key: unique in the tar, without a dot, for WebDataset's extensions begin at the first one. image: encoded, as
        `extension` says.
        """
        if "." in key or "/" in key or len(key) + 5 > LONGEST_NAME:
            raise DataError(
                f"{key!r} cannot name a sample of a tar; at most {LONGEST_NAME - 5} characters, no dot and no slash "
                "are allowed"
            )
        for name, value in zip(
            ("key", "label", "offset", "length"), (key, label, self.size + tarfile.BLOCKSIZE, len(image)), strict=True
        ):
            self._columns[name].append(value)
        self._member(f"{key}.{extension}", image)
        self._member(f"{key}.cls", str(label).encode())
        if text is not None:
            self._member(f"{key}.txt", text.encode())
        if metadata is not None:
            self._member(f"{key}.json", json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode())

    def _member(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # uid, gid, mtime 0 and mode 0644 are its defaults
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> dict[str, Any]:
        """End the tar, and return all fields of its TarTable but `tar`: sha256, bytes, and the columns."""
        self._tar.close()
        if self._closes:
            self._file.close()
        return {"sha256": self._hashed.sha256.hexdigest(), "bytes": self.size} | self._columns

    def __enter__(self) -> "TarWriter":
        return self

    def __exit__(self, *error) -> None:
        if self._closes:
            self._file.close()


def fetch_tar(store: Store, table: TarTable) -> bytes:
    """Read the whole tar, from the store or where it is referenced, and verify its checksum. Raises DataError."""
    where, key = locate(store, table.tar)
    data = where.get(key)
    if hashlib.sha256(data).hexdigest() != table.sha256:
        raise DataError(
            f"{where.url}/{key} has {len(data)} bytes and another checksum than its table ({table.bytes} bytes): "
            "it was changed or damaged"
        )
    return data


def read_image_bytes(store: Store, table: TarTable, row: int) -> bytes:
    """Read the encoded image of one row, and nothing else of its tar.

    Raises DataError when the tar is missing or too short.
    """
    where, key = locate(store, table.tar)
    return where.get(key, start=table.offset[row], length=table.length[row])


def image_bytes(tar: bytes | IO[bytes], table: TarTable, row: int) -> bytes:
    """Take the encoded image of one row out of a tar in memory, or in a local file. Safe in threads.

    Raises DataError when the tar is too short.
    """
    offset, length = table.offset[row], table.length[row]
    data = tar[offset : offset + length] if isinstance(tar, bytes) else os.pread(tar.fileno(), length, offset)
    if len(data) < length:
        raise DataError(
            f"{table.tar} is truncated: {table.key[row]} is at {offset}+{length}, and {length - len(data)} bytes are "
            "missing; fetch or make it again"
        )
    return data


def read_sample(store: Store, table: TarTable, row: int) -> dict[str, bytes]:
    """Read the files of one sample by extension (jpg, cls, txt, json), and nothing else of its tar.

    Raises DataError.
    """
    start = table.offset[row] - tarfile.BLOCKSIZE
    later = min((offset for offset in table.offset if offset > table.offset[row]), default=None)
    end = table.bytes if later is None else later - tarfile.BLOCKSIZE
    where, key = locate(store, table.tar)
    data = where.get(key, start=start, length=end - start) + bytes(2 * tarfile.BLOCKSIZE)  # a tar's end mark
    return {name.rpartition(".")[2]: content for name, content in read_members(data).items()}


def read_members(tar: bytes) -> dict[str, bytes]:
    """Read every file of a whole tar, by name."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in files.items() if file is not None}


def scan(path: Path, tar: str) -> TarTable:
    """Make the TarTable of an existing WebDataset tar at `path`, called `tar` in it and in messages.

    Raises DataError for a truncated tar, a sample without a label, and a label that is no integer >= 0.
    """
    columns: dict[str, list] = {"key": [], "label": [], "offset": [], "length": []}
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        size = file.tell()
        for name, offset, length in _members(file, tar, size):
            folder, _, base = name.rpartition("/")
            key, _, extension = base.partition(".")
            samples.setdefault(f"{folder}/{key}" if folder else key, {})[extension.lower()] = (offset, length)
        for key, members in samples.items():
            image = next((e for e in IMAGE_EXTENSIONS if e in members), None)
            if image is None:
                continue
            if "cls" not in members:
                raise DataError(
                    f"{tar}: sample {key} has no .cls with its label; a WebDataset sample is KEY.jpg with KEY.cls"
                )
            file.seek(members["cls"][0])
            text = file.read(members["cls"][1]).decode("ascii", "replace").strip()
            if not text.isdecimal():
                raise DataError(f"{tar}: the label of sample {key} is {text!r}; an integer from 0 is needed")
            columns["key"].append(key)
            columns["label"].append(int(text))
            columns["offset"].append(members[image][0])
            columns["length"].append(members[image][1])
    if not columns["key"]:
        raise DataError(f"{tar} holds no sample; a WebDataset sample is KEY.jpg with KEY.cls")
    return TarTable(tar=tar, sha256=digest.hexdigest(), bytes=size, **columns)


def _members(file: BinaryIO, tar: str, size: int) -> Iterator[tuple[str, int, int]]:
    """List (name, offset, length) of each file in the tar. Raises DataError when it is no tar or ends early."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if member.offset_data + member.size > size:
                    raise DataError(f"{tar} is truncated in {member.name}: fetch or make it again")
                if member.isfile() and not member.name.rpartition("/")[2].startswith("."):
                    yield member.name, member.offset_data, member.size
            end = archive.offset
    except tarfile.TarError as error:
        raise DataError(f"{tar} is truncated, or no uncompressed tar ({error}): fetch or make it again") from error
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{tar} is truncated: it lacks the end mark of a tar; fetch or make it again")
