"""Packing labelled images into the tars of a real split: classes interleaved, every image decoded once, the list published last."""

import hashlib
import io
import os
import re
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from synaug import layout
from synaug.errors import DataError, UsageError
from synaug.identity import draws
from synaug.manifest import RealSplit, TarTable
from synaug.store import Store
from synaug.tars import TarWriter

SPLIT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
KEPT_FORMATS = {"JPEG": "jpg", "PNG": "png"}  # stored byte for byte; other formats become JPEG
TAR_BYTES = 100_000_000


@dataclass(frozen=True)
class Sample:
    """One labelled image. source: a file, or its encoded bytes; name: what it is called in messages and metadata."""

    key: str
    label: int
    source: Path | bytes
    name: str = ""


@dataclass(frozen=True)
class Packed:
    split: RealSplit
    done_before: bool
    broken: list[str] = field(default_factory=list)


def pack(
    store: Store,
    split: str,
    samples: Sequence[Sample],
    *,
    classes: list[str] | None,
    seed: int = 0,
    tar_bytes: int = TAR_BYTES,
    skip_broken: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Packed:
    """Publish a split. classes: ids by label; None: labels are those of the run's class list. report(done, total) in images.

    An equal split is left as it is. Raises DataError when another one has this name, or an image does not decode (and broken ones
    are not to be skipped).
    """
    check_split(split)
    if not samples:
        raise DataError(f"no image to import as {split}")
    order = list(range(len(samples)))
    draws("import", seed, split).shuffle(order)
    ordered = [samples[n] for n in order]
    source = _digest(ordered, classes, tar_bytes)
    if found := _published(store, split):
        return Packed(_require_equal(store, split, found, source), True)
    broken = []
    writer = _TarFiles(store, split, tar_bytes)
    with tempfile.TemporaryDirectory(prefix="synaug-import-") as folder:
        for done, (sample, decoded) in enumerate(_decoded(ordered), 1):
            if isinstance(decoded, str):
                if not skip_broken:
                    raise DataError(
                        f"{sample.name or sample.key} is broken: {decoded}; mend or remove it, or skip such images with --skip-broken"
                    )
                broken.append(f"{sample.name or sample.key}: {decoded}")
            else:
                writer.add(Path(folder), sample, *decoded)
            report(done, len(samples))
        tables = writer.close()
    return Packed(*publish(store, split, tables, classes=classes, source=source), sorted(broken))


def publish(store: Store, split: str, tables: list[TarTable], *, classes: list[str] | None, source: str) -> tuple[RealSplit, bool]:
    """The tables of a split, whose tars lie in the store or are referenced, then its list; and whether it was there before.

    Left-overs of a killed import are deleted first.
    """
    if found := _published(store, split):
        return _require_equal(store, split, found, source), True
    counts = Counter(label for table in tables for label in table.label)
    if classes is not None and counts and max(counts) >= len(classes):
        raise DataError(f"{split}: a label is {max(counts)}, with {len(classes)} classes; labels go from 0 to {len(classes) - 1}")
    kept = {layout.real_tar(split, n) for n in range(len(tables))} & {table.tar for table in tables}
    pattern = re.compile(re.escape(layout.real_tar(split, 0)).replace("000000", r"\d{6}").replace("tar", "(tar|json)"))
    for key in list(store.list(f"real/{split}-")):
        if pattern.fullmatch(key) and key not in kept:
            store.delete(key)
    for n, table in enumerate(tables):
        store.put(layout.real_entry(split, n), table.model_dump_json().encode())
    real = RealSplit(classes=classes, tars=len(tables), samples=sum(counts.values()), per_label=dict(sorted(counts.items())), source=source)
    store.put(layout.real_split(split), real.model_dump_json(indent=1).encode())
    return real, False


def check_split(split: str) -> str:
    """The name, if a split may have it. Raises UsageError."""
    if not SPLIT.fullmatch(split) or re.search(r"-\d{6}$", split):
        raise UsageError(
            f"{split!r} cannot name a split; letters, digits, - and _ are allowed, a letter first, and no six digits at the end"
        )
    return split


def unique_key(name: str, taken: set[str]) -> str:
    """A sample key from a file's relative path: readable, fit for a tar, and of no other sample; adds it to `taken`."""
    key = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:80]
    if not key or key in taken:
        key = f"{key[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}".lstrip("-")
    taken.add(key)
    return key


class _TarFiles:
    """Tars of about tar_bytes each, put as soon as they are full."""

    def __init__(self, store: Store, split: str, tar_bytes: int) -> None:
        self.store, self.split, self.tar_bytes = store, split, tar_bytes
        self.tables: list[TarTable] = []
        self._writer: TarWriter | None = None
        self._path = Path()

    def add(self, folder: Path, sample: Sample, image: bytes, extension: str) -> None:
        if self._writer and self._writer.bytes + len(image) > self.tar_bytes:
            self._put()
        if self._writer is None:
            self._path = folder / f"{len(self.tables)}.tar"
            self._writer = TarWriter(self._path)
        metadata = {"file": sample.name} if sample.name else None
        self._writer.add(sample.key, image, sample.label, metadata=metadata, extension=extension)

    def _put(self) -> None:
        key = layout.real_tar(self.split, len(self.tables))
        self.tables.append(TarTable(tar=key, **self._writer.close()))
        self.store.put(key, self._path)
        self._path.unlink()
        self._writer = None

    def close(self) -> list[TarTable]:
        if self._writer:
            self._put()
        if not self.tables:
            raise DataError(f"every image of {self.split} is broken; nothing was imported")
        return self.tables


def _decoded(samples: Sequence[Sample]) -> Iterator[tuple[Sample, tuple[bytes, str] | str]]:
    """In order, decoded by a few threads a little ahead."""
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        pending: list = []
        for sample in samples:
            pending.append((sample, pool.submit(stored_form, sample.source)))
            if len(pending) > 4 * threads:
                first, future = pending.pop(0)
                yield first, future.result()
        for first, future in pending:
            yield first, future.result()


def stored_form(source: Path | bytes) -> tuple[bytes, str] | str:
    """(bytes, extension) of an image as it is stored, or why it is broken. The image is decoded in full."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if extension := KEPT_FORMATS.get(image.format or ""):
                return data, extension
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=95)
            return buffer.getvalue(), "jpg"
    except Image.UnidentifiedImageError:
        return "no image format that is known"
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:  # what PIL raises for broken files
        return " ".join(str(error).split())


def broken_rows(path: Path, table: TarTable, pool: ThreadPoolExecutor) -> dict[int, str]:
    """Row -> why its image does not decode, of the tar at `path`."""

    def check(row: int) -> str | None:
        with open(path, "rb") as file:
            file.seek(table.offset[row])
            form = stored_form(file.read(table.length[row]))
        return form if isinstance(form, str) else None

    return {row: why for row, why in enumerate(pool.map(check, range(len(table.key)))) if why}


def _digest(samples: Sequence[Sample], classes: list[str] | None, tar_bytes: int) -> str:
    """SHA-256 over what a split is made from, in order; the content of the files included."""
    digest = hashlib.sha256(f"{classes} {tar_bytes}".encode())
    for sample in samples:
        try:
            data = sample.source if isinstance(sample.source, bytes) else sample.source.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {sample.source}: {error.strerror}") from error
        digest.update(f"{sample.key} {sample.label} {sample.name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()


def _published(store: Store, split: str) -> RealSplit | None:
    key = layout.real_split(split)
    return RealSplit.model_validate_json(store.get(key)) if store.exists(key) else None


def _require_equal(store: Store, split: str, found: RealSplit, source: str) -> RealSplit:
    if found.source != source:
        raise DataError(
            f"the split {split!r} of {store.url} was imported from other images ({found.samples} in {found.tars} tars); "
            "choose another --split, or delete its objects first"
        )
    return found
