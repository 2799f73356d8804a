"""The store on disk. A put is written and synced under a hidden folder, then renamed to its place."""

import errno
import fcntl
import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from synaug.data.layout import check_key
from synaug.errors import DataError, TransientError
from synaug.telemetry import beat, uploading

PARTIAL = ".partial"  # hidden, so no key and never listed
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # of filesystems without hard links
DENIED = (errno.EACCES, errno.EPERM)


class FileStore:
    """A folder of files; see synaug.data.store.Store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self._cleaned = False
        self._numbers = itertools.count()

    def __reduce__(self) -> tuple[type["FileStore"], tuple[Path]]:
        return FileStore, (self.root,)

    def create(self) -> None:
        """Make the folder."""
        with self._errors("the folder", writing=True):
            self.root.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, *, start: int | None = None, length: int | None = None) -> bytes:
        with self._errors(key), open(self._path(key), "rb") as file:
            if start:
                file.seek(start)
            data = file.read() if length is None else file.read(length)
        if length is not None and len(data) != length:
            raise DataError(
                f"{self.url}/{key} ends {length - len(data)} bytes before the end of the range {start or 0}+{length}: "
                "it is truncated"
            )
        return data

    def put(self, key: str, data: bytes | Path, *, if_absent: bool = False) -> bool:
        path = self._path(key)
        self._require_root()
        with uploading(), self._errors(key, writing=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial, file = self._partial()
            try:
                with file:
                    if isinstance(data, Path):
                        with open(data, "rb") as source:
                            shutil.copyfileobj(source, file, 1 << 20)
                    else:
                        file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    placed = not if_absent or _link(partial, path)
                    if not if_absent:
                        os.replace(partial, path)
                _sync_folder(path.parent)
                return placed
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    def exists(self, key: str) -> bool:
        with self._errors(key):
            exists = self._path(key).is_file()
        if not exists:
            self._require_root()
        return exists

    def size(self, key: str) -> int:
        with self._errors(key):
            return self._path(key).stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        self._require_root()
        start = self.root / prefix.rpartition("/")[0]
        keys = []
        with self._errors(prefix):
            for folder, folders, files in os.walk(start):
                folders[:] = [name for name in folders if not name.startswith(".")]
                relative = Path(folder).relative_to(self.root)
                keys += [(relative / name).as_posix() for name in files if not name.startswith(".")]
        yield from sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        with self._errors(key, writing=True):
            self._path(key).unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with self._errors(key), open(self._path(key), "rb") as source, open(partial, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _require_root(self) -> None:
        if not self.root.is_dir():
            raise DataError(f"no store at {self.url}: there is no such folder; `synaug import` makes one")

    def _partial(self) -> tuple[Path, BinaryIO]:
        """Open a new file that a lock marks as being written, until it is closed or its process dies."""
        folder = self.root / PARTIAL
        folder.mkdir(exist_ok=True)
        if not self._cleaned:
            self._cleaned = True
            _remove_left_over(folder)
        while True:
            path = folder / f"{socket.gethostname()}-{os.getpid()}-{id(self):x}-{next(self._numbers)}"
            file = open(path, "wb")  # noqa: SIM115 - it stays open, and locked, until it has been renamed
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return path, file
            file.close()  # another process took it for left over, between open and lock

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
            beat()
        except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            if not writing:
                self._require_root()
                raise DataError(f"no {key} in the store {self.url}") from error
            raise DataError(
                f"cannot write {key} in the store {self.url}: {error.strerror}: {error.filename}"
            ) from error
        except OSError as error:
            raise self._translated(error, key) from error

    def _translated(self, error: OSError, key: str) -> DataError | TransientError:
        if error.errno in FULL:
            return DataError(f"the store {self.url} is full ({error.strerror}) at {key}; free some space and run again")
        if error.errno == errno.EROFS:
            return DataError(
                f"the store {self.url} is read-only, so {key} cannot be written; remount it or name another store"
            )
        if error.errno in DENIED:
            return DataError(
                f"no permission for {key} in the store {self.url}; it belongs to another user, or is read-only"
            )
        if error.errno == errno.EXDEV:
            return DataError(
                f"{key} is on another filesystem than the store {self.url}; a store must be on one, or its put is not "
                "atomic"
            )
        return TransientError(f"the store {self.url} failed at {key}: {error.strerror or error}")


def _remove_left_over(folder: Path) -> None:
    """Delete the files of killed processes: nobody holds their lock any more."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _link(partial: Path, path: Path) -> bool:
    """Put the file at its place, unless something is there, and return whether it is there now."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if path.exists():
            return False
        os.replace(partial, path)  # as near as such a filesystem comes
        return True
    finally:
        partial.unlink(missing_ok=True)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
