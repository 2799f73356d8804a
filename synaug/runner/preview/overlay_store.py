"""A store whose run is read as it is and written beside itself, under preview/: stages leave no trace in the run."""

from collections.abc import Iterator
from pathlib import Path

from synaug.data import layout
from synaug.data.store import Store


class Overlay:
    """A `Store` over another one.

    Keys of the run are written to runs/{run}/preview/ and read from there first; every other key is the store's, read
    only. The run's own parts are not seen: a part that exists would not be made again.
    """

    def __init__(self, store: Store, run: str):
        self._store, self._run, self.url = store, run, store.url

    def _above(self, key: str) -> str:
        return layout.preview(self._run, key.removeprefix(layout.run_folder(self._run)))

    def _place(self, key: str) -> str:
        above = self._above(key)
        if key.startswith(layout.synthetic_folder(self._run)):
            return above
        return above if key.startswith(layout.run_folder(self._run)) and self._store.exists(above) else key

    def get(self, key: str, *, start: int | None = None, length: int | None = None) -> bytes:
        return self._store.get(self._place(key), start=start, length=length)

    def put(self, key: str, data: bytes | Path, *, if_absent: bool = False) -> bool:
        if not key.startswith(layout.run_folder(self._run)):
            raise ValueError(f"a preview writes nothing outside its run, not {key}")
        return self._store.put(self._above(key), data, if_absent=if_absent)

    def exists(self, key: str) -> bool:
        return self._store.exists(self._place(key))

    def size(self, key: str) -> int:
        return self._store.size(self._place(key))

    def list(self, prefix: str) -> Iterator[str]:
        folder, above = layout.run_folder(self._run), layout.preview(self._run, "")
        keys = {key for key in self._store.list(prefix) if not key.startswith(above)}
        if prefix.startswith(folder):
            keys |= {folder + key.removeprefix(above) for key in self._store.list(self._above(prefix))}
        yield from sorted(keys)

    def delete(self, key: str) -> None:
        self._store.delete(self._above(key))

    def download(self, key: str, path: Path) -> None:
        self._store.download(self._place(key), path)
