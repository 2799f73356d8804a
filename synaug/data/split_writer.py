"""Packing labelled images into the tars of a split: classes interleaved, each decoded once, the list published last."""

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synaug.data import layout
from synaug.data.images import content, read_in_order
from synaug.data.manifest import RealSplit, TarTable
from synaug.data.seeding import draws
from synaug.data.splits import check_split
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.errors import DataError

TAR_BYTES = 100_000_000


@dataclass(frozen=True)
class Sample:
    """One labelled image. source: a file, or its encoded bytes; name: what it is called in messages and metadata."""

    key: str
    label: int
    source: Path | bytes
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or self.key


@dataclass(frozen=True)
class Packed:
    """What an import came to. broken: name and reason of each image that was skipped."""

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
    """Publish a split of labelled images; an equal one is left as it is.

    classes: ids by label; None: labels are those of the run's class list. tar_bytes: about the size of each tar.
    report(done, total): in images. Raises DataError when another split has this name, or an image does not decode (and
    broken ones are not to be skipped).
    """
    check_split(split)
    if not samples:
        raise DataError(f"no image to import as {split}")
    order = list(range(len(samples)))
    draws("import", seed, split).shuffle(order)
    ordered = [samples[n] for n in order]
    source = _Source(classes, tar_bytes)
    if found := _published(store, split):
        for done, sample in enumerate(ordered, 1):
            source.add(sample, hashlib.sha256(content(sample.source)).hexdigest())
            report(done, len(samples))
        return Packed(_require_equal(store, split, found, source.hexdigest()), True)
    broken = []
    writer = _TarFiles(store, split, tar_bytes)
    with tempfile.TemporaryDirectory(prefix="synaug-import-") as folder:
        for done, (sample, read) in enumerate(
            zip(ordered, read_in_order(sample.source for sample in ordered), strict=True), 1
        ):
            source.add(sample, read.sha256)
            if not read.broken:
                writer.add(Path(folder), sample, read.image, read.extension)
            elif skip_broken:
                broken.append(f"{sample.title}: {read.broken}")
            else:
                raise DataError(
                    f"{sample.title} is broken: {read.broken}; repair or remove it, or skip such images with "
                    "--skip-broken"
                )
            report(done, len(samples))
        tables = writer.close()
    return Packed(*publish(store, split, tables, classes=classes, source=source.hexdigest()), sorted(broken))


def publish(
    store: Store, split: str, tables: list[TarTable], *, classes: list[str] | None, source: str
) -> tuple[RealSplit, bool]:
    """Publish the tables of a split, then its list, and return it and whether it was there before.

    The tars are in the store, or are referenced. Left-overs of a killed import are deleted first. Raises DataError when
    another split has this name, or a label has no class.
    """
    if found := _published(store, split):
        return _require_equal(store, split, found, source), True
    counts = Counter(label for table in tables for label in table.label)
    if classes is not None and counts and max(counts) >= len(classes):
        raise DataError(
            f"{split}: a label is {max(counts)}, with {len(classes)} classes; labels go from 0 to {len(classes) - 1}"
        )
    kept = {layout.real_tar(split, n) for n in range(len(tables))} & {table.tar for table in tables}
    pattern = re.compile(re.escape(layout.real_tar(split, 0)).replace("000000", r"\d{6}").replace("tar", "(tar|json)"))
    for key in list(store.list(f"real/{split}-")):
        if pattern.fullmatch(key) and key not in kept:
            store.delete(key)
    for n, table in enumerate(tables):
        store.put(layout.real_entry(split, n), table.model_dump_json().encode())
    real = RealSplit(
        classes=classes,
        tars=len(tables),
        samples=sum(counts.values()),
        per_label=dict(sorted(counts.items())),
        source=source,
    )
    store.put(layout.real_split(split), real.model_dump_json(indent=1).encode())
    return real, False


def unique_key(name: str, taken: set[str]) -> str:
    """Make a sample key of a file's relative path: readable, fit for a tar, and new to `taken`, where it is added."""
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
        if self._writer and self._writer.size + len(image) > self.tar_bytes:
            self._put(self._writer)
        if self._writer is None:
            self._path = folder / f"{len(self.tables)}.tar"
            self._writer = TarWriter(self._path)
        metadata = {"file": sample.name} if sample.name else None
        self._writer.add(sample.key, image, sample.label, metadata=metadata, extension=extension)

    def _put(self, writer: TarWriter) -> None:
        key = layout.real_tar(self.split, len(self.tables))
        self.tables.append(TarTable(tar=key, **writer.close()))
        self.store.put(key, self._path)
        self._path.unlink()
        self._writer = None

    def close(self) -> list[TarTable]:
        if self._writer:
            self._put(self._writer)
        if not self.tables:
            raise DataError(f"every image of {self.split} is broken; nothing was imported")
        return self.tables


class _Source:
    """SHA-256 over all that a split is made from, in order; the content of the files included."""

    def __init__(self, classes: list[str] | None, tar_bytes: int) -> None:
        self._digest = hashlib.sha256(f"{classes} {tar_bytes}".encode())

    def add(self, sample: Sample, sha256: str) -> None:
        self._digest.update(f"{sample.key} {sample.label} {sample.name} {sha256}\n".encode())

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _published(store: Store, split: str) -> RealSplit | None:
    key = layout.real_split(split)
    return RealSplit.model_validate_json(store.get(key)) if store.exists(key) else None


def _require_equal(store: Store, split: str, found: RealSplit, source: str) -> RealSplit:
    if found.source != source:
        raise DataError(
            f"the split {split!r} of {store.url} was imported from other images ({found.samples} in {found.tars} "
            "tars); choose another --split, or delete its objects first"
        )
    return found
