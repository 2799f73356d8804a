"""One root of objects, on disk or S3. put is atomic: an object exists whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    url: str

    def get(self, key: str, *, start: int | None = None, length: int | None = None) -> bytes:
        """The object, or `length` bytes of it from `start`. Raises DataError when it does not exist."""

    def put(self, key: str, data: bytes | Path) -> None: ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int: ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with prefix, sorted."""

    def delete(self, key: str) -> None: ...

    def download(self, key: str, path: Path) -> None:
        """To a local file, whole or not at all."""


def open_store(url: str) -> Store:
    """file:///path, a plain path, or s3://bucket/prefix. Raises UsageError for another scheme."""
    raise NotImplementedError
