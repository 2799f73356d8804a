"""Contact sheets: real beside synthetic images with their prompts, and a strip of each test set, as JPEG data URIs."""

import base64
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from PIL import Image

from synaug.data import layout
from synaug.data.manifest import Manifest, TarTable
from synaug.data.pools import real_pool
from synaug.data.seeding import derive
from synaug.data.splits import split_pool
from synaug.data.store import Store, locate
from synaug.errors import DataError
from synaug.reporting.report.data import ReportData

CLASSES, REAL, SYNTHETIC, TEST = 12, 4, 6, 10  # shown at most: classes, images of each class, images of each test set
MANIFESTS = 50  # read at most, spread over the parts
EDGE = 160  # longest side in the page, pixels

Table = TypeVar("Table", bound=TarTable)


@dataclass(frozen=True)
class Picture:
    """A thumbnail as the page holds it; a synthetic one has its prompt, its kind and its key."""

    uri: str
    alt: str
    width: int
    height: int
    kind: str = ""
    prompt: str = ""
    key: str = ""


@dataclass(frozen=True)
class ClassSheet:
    name: str
    real: list[Picture]
    synthetic: list[Picture]


@dataclass(frozen=True)
class TableRow(Generic[Table]):
    """An image: a row of a tar's table."""

    table: Table
    row: int


def class_sheets(data: ReportData) -> list[ClassSheet]:
    """Show real and synthetic images of at most CLASSES classes, spread over the list."""
    if not data.store.exists(layout.real_split(data.config.real.train)):
        return []
    store, seed, classes = data.store, data.config.seed, data.plan.classes
    real = real_pool(store, data.config, classes)
    keys = [part.manifest for part in data.index.parts] if data.index else []
    parts = [Manifest.model_validate_json(store.get(key)) for key in keys[:: max(1, len(keys) // MANIFESTS)]]
    sheets = []
    for label in _spread(len(classes), CLASSES):
        name = data.names[classes[label].id]
        photos = [
            thumbnail(_image(store, sample), f"real {name}", key=sample.table.key[sample.row])
            for sample in _shuffled(real, label, seed)[:REAL]
        ]
        sheets.append(ClassSheet(name, photos, _synthetic(store, parts, label, name, seed)))
    return [sheet for sheet in sheets if sheet.real or sheet.synthetic]


def test_strips(data: ReportData) -> dict[str, list[Picture]]:
    """Show an image of each of at most TEST classes, spread over the list, by test set."""
    strips: dict[str, list[Picture]] = {}
    classes = data.plan.classes
    for name, test in data.config.tests.items():
        if not data.store.exists(layout.real_split(test.split)):
            continue
        tables = split_pool(data.store, test.split, classes)
        strips[name] = [
            thumbnail(_image(data.store, sample), f"{data.names[classes[label].id]} in {name}")
            for label in _spread(len(classes), TEST)
            for sample in _shuffled(tables, label, data.config.seed)[:1]
        ]
    return {name: strip for name, strip in strips.items() if strip}


def thumbnail(data: bytes, alt: str, *, kind: str = "", prompt: str = "", key: str = "") -> Picture:
    """Shrink an image to EDGE, and never enlarge it. Raises DataError when the bytes are no image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            small = image.convert("RGB")
    except OSError as error:
        raise DataError(f"{alt} is broken ({error}); run `synaug index` to check the tars") from error
    small.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=88)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Picture(uri, alt, *small.size, kind=kind, prompt=prompt, key=key)


def _spread(classes: int, most: int) -> range:
    """Labels of at most so many classes, evenly apart."""
    return range(0, classes, -(-classes // most))


def _shuffled(tables: Iterable[Table], label: int, seed: int) -> list[TableRow[Table]]:
    """The images of a label, in a seeded order."""
    rows = [TableRow(table, row) for table in tables for row, of_row in enumerate(table.label) if of_row == label]
    return sorted(rows, key=lambda sample: derive("sheet", seed, sample.table.key[sample.row]))


def _image(store: Store, sample: TableRow[TarTable]) -> bytes:
    table, row = sample.table, sample.row
    where, key = locate(store, table.tar)
    return where.get(key, start=table.offset[row], length=table.length[row])


def _synthetic(store: Store, parts: Sequence[Manifest], label: int, name: str, seed: int) -> list[Picture]:
    """As many of each prompt kind as there is room for."""
    by_kind: dict[str, list[TableRow[Manifest]]] = {"plain": [], "cd": [], "sd": []}
    for sample in _shuffled(parts, label, seed):
        by_kind[sample.table.kind[sample.row]].append(sample)
    used = [samples for samples in by_kind.values() if samples]
    pictures = []
    for sample in (sample for samples in used for sample in samples[: SYNTHETIC // len(used)]):
        part, row = sample.table, sample.row
        files = _files(store, part, row)
        prompt = files.get("txt", b"").decode()
        image = next(files[extension] for extension in ("jpg", "png") if extension in files)
        pictures.append(
            thumbnail(image, f"synthetic {name}: {prompt}", kind=part.kind[row], prompt=prompt, key=part.key[row])
        )
    return pictures


def _files(store: Store, table: TarTable, row: int) -> dict[str, bytes]:
    """The files of one sample by extension (jpg, cls, txt, json), from a read of its part of the tar."""
    start = table.offset[row] - tarfile.BLOCKSIZE
    later = min((offset for offset in table.offset if offset > table.offset[row]), default=None)
    end = table.bytes if later is None else later - tarfile.BLOCKSIZE
    where, key = locate(store, table.tar)
    data = where.get(key, start=start, length=end - start) + bytes(2 * tarfile.BLOCKSIZE)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                files[member.name.rpartition(".")[2]] = file.read()
    return files
