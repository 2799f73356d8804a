"""One root of objects, on disk or S3. put is atomic: an object exists whole or not at all.

The store on S3 is imported where one is opened: boto3 takes longer to load than most commands take to run.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from synaug.data.file_store import FileStore
from synaug.errors import UsageError

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Store(Protocol):
    """Safe to hand to another process (it pickles as its URL) and to use from several threads.

    Raises DataError for what is missing, full or read-only, ModelError for what the credentials do not allow,
    TransientError when the store stays out of reach after bounded retries.
    """

    url: str

    def get(self, key: str, *, start: int | None = None, length: int | None = None) -> bytes:
        """Read the object, or exactly `length` bytes of it from `start`.

        Raises DataError when it does not exist or is shorter.
        """

    def put(self, key: str, data: bytes | Path, *, if_absent: bool = False) -> bool:
        """Publish bytes, or the content of a local file, and return whether they are there now.

        What was there is replaced, unless if_absent.
        """

    def exists(self, key: str) -> bool:
        """Say whether there is such an object."""

    def size(self, key: str) -> int:
        """Return the bytes of the object, a number. Raises DataError when it does not exist."""

    def list(self, prefix: str) -> Iterator[str]:
        """List the keys that begin with prefix, sorted."""

    def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file, whole or not at all."""


def open_store(url: str | Path, *, create: bool = False) -> Store:
    """Open the store at file:///path, a plain path, or s3://bucket/prefix. Raises UsageError for another scheme.

    Nothing is contacted yet; what is missing is noticed at the first use. create: make the folder (a bucket is never
    made).
    """
    text = str(url)
    scheme = SCHEME.match(text)
    if scheme and scheme[1] == "s3":
        from synaug.data.s3_store import S3Store

        return S3Store(text)
    if scheme and scheme[1] != "file":
        raise UsageError(
            f"{text!r} has the unknown scheme {scheme[1]}://; a store is a folder, file:///folder or s3://bucket/prefix"
        )
    path = unquote(text.removeprefix("file://").removeprefix("localhost")) if scheme else text
    if not path or (scheme and not path.startswith("/")):
        raise UsageError(f"{text!r} names no folder; a store is a folder, file:///folder or s3://bucket/prefix")
    store = FileStore(Path(path).expanduser().absolute())
    if create:
        store.create()
    return store


def is_url(tar: str) -> bool:
    """Say whether a TarTable's `tar` is a URL or path of its own, not a key of the store."""
    return tar.startswith("/") or SCHEME.match(tar) is not None


def locate(store: Store, tar: str) -> tuple[Store, str]:
    """Return the store and key that `tar` (a key of `store`, or the URL of a referenced tar) is read by."""
    if not is_url(tar):
        return store, tar
    scheme = SCHEME.match(tar)
    bare = PurePosixPath(tar[scheme.end() :] if scheme else tar)
    return open_store((scheme[0] if scheme else "") + str(bare.parent)), bare.name
