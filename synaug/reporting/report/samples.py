"""Contact sheets: real beside synthetic images with their prompts, and a strip of each test set, as JPEG data URIs."""

import base64
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field

from synaug.data import layout
from synaug.data.manifest import Manifest, TarTable
from synaug.data.pools import real_pool
from synaug.data.seeding import derive
from synaug.data.splits import split_pool
from synaug.data.store import Store, locate
from synaug.errors import DataError
from synaug.reporting.report.data import ReportData

CLASSES, REAL, SYNTHETIC, TEST = 12, 4, 6, 10  # shown at most: classes, images of each class, images of each test set
EDGE = 160  # longest side in the page, pixels


@dataclass(frozen=True)
class Picture:
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
    real: list[Picture] = field(default_factory=list)
    synthetic: list[Picture] = field(default_factory=list)


def sample_files(store: Store, table: TarTable, row: int) -> dict[str, bytes]:
    """The files of one sample by extension (jpg, cls, txt, json), from a read of its part of the tar."""
    start = table.offset[row] - tarfile.BLOCKSIZE
    later = min((offset for offset in table.offset if offset > table.offset[row]), default=None)
    end = table.bytes if later is None else later - tarfile.BLOCKSIZE
    where, key = locate(store, table.tar)
    data = where.get(key, start=start, length=end - start) + bytes(2 * tarfile.BLOCKSIZE)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name.rpartition(".")[2]: tar.extractfile(member).read() for member in tar if member.isfile()}


def picture(data: bytes, alt: str, **facts: str) -> Picture:
    """A thumbnail, never enlarged. Raises DataError when the bytes are no image."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            small = image.convert("RGB")
    except OSError as error:
        raise DataError(f"{alt} is broken ({error}); run `synaug index` to check the tars") from error
    small.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=88)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Picture(uri, alt, *small.size, **facts)


def _drawn(tables: Iterable[TarTable], label: int, seed: int) -> list[tuple[TarTable, int]]:
    """Rows of a label, in a seeded order."""
    rows = [
        (derive("sheet", seed, table.key[row]), table, row)
        for table in tables
        for row, of in enumerate(table.label)
        if of == label
    ]
    return [(table, row) for _, table, row in sorted(rows, key=lambda one: one[0])]


def _image(store: Store, table: TarTable, row: int) -> bytes:
    where, key = locate(store, table.tar)
    return where.get(key, start=table.offset[row], length=table.length[row])


def class_sheets(facts: ReportData) -> list[ClassSheet]:
    """Of at most CLASSES classes, spread over the list."""
    if not facts.store.exists(layout.real_split(facts.config.real.train)):
        return []
    store, seed, classes = facts.store, facts.config.seed, facts.plan.classes
    real = real_pool(store, facts.config, facts.plan.classes)
    keys = [part.manifest for part in facts.index.parts] if facts.index else []
    parts = [Manifest.model_validate_json(store.get(key)) for key in keys[:: max(1, len(keys) // 50)]]
    sheets = []
    for label in range(0, len(classes), -(-len(classes) // CLASSES)):
        name = facts.names[classes[label].id]
        photos = [
            picture(_image(store, table, row), f"real {name}", key=table.key[row])
            for table, row in _drawn(real, label, seed)[:REAL]
        ]
        sheets.append(ClassSheet(name, photos, _synthetic(store, parts, label, name, seed)))
    return [sheet for sheet in sheets if sheet.real or sheet.synthetic]


def _synthetic(store: Store, parts: list[Manifest], label: int, name: str, seed: int) -> list[Picture]:
    """As many of each prompt kind as there is room for."""
    by_kind: dict[str, list[tuple[Manifest, int]]] = {"plain": [], "cd": [], "sd": []}
    for part, row in _drawn(parts, label, seed):
        by_kind[part.kind[row]].append((part, row))
    used = [found for found in by_kind.values() if found]
    chosen = [(part, row) for found in used for part, row in found[: SYNTHETIC // len(used)]]
    pictures = []
    for part, row in chosen:
        files = sample_files(store, part, row)
        prompt = files.get("txt", b"").decode()
        image = next(files[extension] for extension in ("jpg", "png") if extension in files)
        pictures.append(
            picture(image, f"synthetic {name}: {prompt}", kind=part.kind[row], prompt=prompt, key=part.key[row])
        )
    return pictures


def test_strips(facts: ReportData) -> dict[str, list[Picture]]:
    """Some images of each test set, of classes spread over the list."""
    strips = {}
    for name, test in facts.config.tests.items():
        if not facts.store.exists(layout.real_split(test.split)):
            continue
        tables, classes = split_pool(facts.store, test.split, facts.plan.classes), facts.plan.classes
        strips[name] = []
        for label in range(0, len(classes), -(-len(classes) // TEST)):
            for table, row in _drawn(tables, label, facts.config.seed)[:1]:
                strips[name].append(
                    picture(_image(facts.store, table, row), f"{facts.names[classes[label].id]} in {name}")
                )
    return {name: strip for name, strip in strips.items() if strip}
