"""Contact sheets: real beside synthetic images with their prompts, and a strip of each test set, as JPEG data URIs."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from PIL import Image

from synaug.data import layout
from synaug.data.images import decode_rgb, read_rgb
from synaug.data.manifest import Manifest, TarTable
from synaug.data.pools import real_pool
from synaug.data.seeding import derive
from synaug.data.splits import split_pool
from synaug.data.store import Store
from synaug.data.webdataset import read_sample
from synaug.reporting.report.data import ReportData

CLASSES, REAL, SYNTHETIC, TEST = 12, 4, 6, 10  # shown at most: classes, images of each class, images of each test set
MANIFESTS = 50  # about so many are read, spread over the parts
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
class SampleRow(Generic[Table]):
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
            thumbnail(read_rgb(store, sample.table, sample.row), f"real {name}", key=sample.table.key[sample.row])
            for sample in _shuffled(real, label, seed)[:REAL]
        ]
        sheets.append(ClassSheet(name, photos, _synthetic(store, parts, label, name, seed)))
    return [sheet for sheet in sheets if sheet.real or sheet.synthetic]


def test_strips(data: ReportData) -> dict[str, list[Picture]]:
    """Show an image of each of at most TEST classes, spread over the list, by test set."""
    strips: dict[str, list[Picture]] = {}
    store, classes = data.store, data.plan.classes
    for name, test in data.config.tests.items():
        if not store.exists(layout.real_split(test.split)):
            continue
        tables = split_pool(store, test.split, classes)
        strips[name] = [
            thumbnail(read_rgb(store, sample.table, sample.row), f"{data.names[classes[label].id]} in {name}")
            for label in _spread(len(classes), TEST)
            for sample in _shuffled(tables, label, data.config.seed)[:1]
        ]
    return {name: strip for name, strip in strips.items() if strip}


def thumbnail(image: Image.Image, alt: str, *, kind: str = "", prompt: str = "", key: str = "") -> Picture:
    """Make a thumbnail of an RGB image, which is shrunk in place to EDGE and never enlarged."""
    image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Picture(uri, alt, *image.size, kind=kind, prompt=prompt, key=key)


def _spread(classes: int, most: int) -> range:
    """Labels of at most so many classes, evenly apart."""
    return range(0, classes, -(-classes // most))


def _shuffled(tables: Iterable[Table], label: int, seed: int) -> list[SampleRow[Table]]:
    """The images of a label, in a seeded order."""
    rows = [SampleRow(table, row) for table in tables for row, of_row in enumerate(table.label) if of_row == label]
    return sorted(rows, key=lambda sample: derive("sheet", seed, sample.table.key[sample.row]))


def _synthetic(store: Store, parts: Sequence[Manifest], label: int, name: str, seed: int) -> list[Picture]:
    """As many of each prompt kind as there is room for."""
    by_kind: dict[str, list[SampleRow[Manifest]]] = {"plain": [], "cd": [], "sd": []}
    for sample in _shuffled(parts, label, seed):
        by_kind[sample.table.kind[sample.row]].append(sample)
    used = [samples for samples in by_kind.values() if samples]
    pictures = []
    for sample in (sample for samples in used for sample in samples[: SYNTHETIC // len(used)]):
        part, row = sample.table, sample.row
        files = read_sample(store, part, row)
        prompt = files.get("txt", b"").decode()
        encoded = next(files[extension] for extension in ("jpg", "png") if extension in files)
        image = decode_rgb(encoded, store, part, row)
        pictures.append(
            thumbnail(image, f"synthetic {name}: {prompt}", kind=part.kind[row], prompt=prompt, key=part.key[row])
        )
    return pictures
