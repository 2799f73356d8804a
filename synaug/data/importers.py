"""What `synaug import` reads: class folders, CSV files, and WebDataset tars that are only referenced."""

import csv
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from braceexpand import braceexpand

from synaug.data.classes import ClassEntry, slug
from synaug.data.file_store import FileStore
from synaug.data.images import broken_rows, cannot_be_decoded
from synaug.data.split_writer import Packed, Sample, publish, unique_key
from synaug.data.splits import check_split
from synaug.data.store import Store, locate
from synaug.data.webdataset import scan
from synaug.errors import DataError, UsageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


class LabelledFile(NamedTuple):
    """An image file with what its source calls its class: a folder's name, or a CSV's label."""

    label: str
    path: Path


def read_folder(folder: Path) -> list[LabelledFile]:
    """List the images of an ImageFolder, labelled by their class folder and sorted by path.

    Raises UsageError for a folder of splits, DataError for one without images.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    images = [LabelledFile(path.name, file) for path in classes for file in _images(path)]
    if not images:
        raise DataError(f"{folder} holds no images in sub-folders of classes ({', '.join(sorted(SUFFIXES))} are read)")
    nested = [path for path in classes if not any(file.parent == path for label, file in images if label == path.name)]
    splits = [path.name for path in nested if path.name.lower() in ("train", "val", "valid", "validation", "test")]
    if splits and len(nested) == len(classes):
        raise UsageError(
            f"{folder} holds the splits {', '.join(splits)}, not classes; "
            f"import each: `synaug import {folder / splits[0]} --split {splits[0]}`"
        )
    return images


def read_csv(path: Path) -> list[LabelledFile]:
    """List the images of a CSV with the columns path and label, in its order. Raises DataError naming line and file."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"path", "label"} <= set(reader.fieldnames or ()):
            raise DataError(
                f"{path} has the columns {', '.join(reader.fieldnames or ['none'])}; path and label are needed"
            )
        rows = []
        for row in reader:
            image = path.parent / (row["path"] or "")
            if not row["path"] or not row["label"]:
                raise DataError(f"{path}, line {reader.line_num}: path or label is empty")
            if not image.is_file():
                raise DataError(f"{path}, line {reader.line_num}: no file {image}")
            rows.append(LabelledFile(row["label"], image))
    twice = [path for path, count in Counter(file.path for file in rows).items() if count > 1]
    if twice:
        raise DataError(f"{path} lists {twice[0]} more than once; list each image once")
    if not rows:
        raise DataError(f"{path} lists no image")
    return rows


def to_samples(
    images: list[LabelledFile], base: Path, *, labels: bool, classes: list[ClassEntry] | None
) -> tuple[list[Sample], list[str] | None]:
    """Make samples of labelled files, and return them with the split's class ids, in label order.

    The ids are None where integer labels come without a class list: they are then labels of the run's list. base: the
    folder that the samples' names are relative to. labels: the files' labels are integers; otherwise each is a class id
    or a name whose slug is one. classes: the class list; None: the ids of the names themselves, sorted. Raises
    DataError for a label that is out of range or of no class.
    """
    names = sorted({image.label for image in images})
    if labels:
        label_of = {name: _integer(name, classes) for name in names}
        ids = [entry.id for entry in classes] if classes else None
    else:
        id_of = _ids(names, classes)
        ids = [entry.id for entry in classes] if classes else sorted(set(id_of.values()))
        label_of = {name: ids.index(class_id) for name, class_id in id_of.items()}
    taken: set[str] = set()
    samples = []
    for label, path in images:
        relative = path.relative_to(base) if path.is_relative_to(base) else path
        samples.append(Sample(unique_key(str(relative.with_suffix("")), taken), label_of[label], path, str(relative)))
    return samples, ids


def reference_tars(
    store: Store,
    split: str,
    urls: list[str],
    *,
    classes: list[ClassEntry] | None,
    skip_broken: bool,
    report: Callable[[int, int], None],
) -> Packed:
    """Scan the tars and publish their tables; the tars stay where they are. Every image is decoded once.

    urls: of the tars. report(done, total): in tars. Raises DataError for a tar that is missing or broken, an image that
    does not decode (and broken ones are not to be skipped), and another split of this name.
    """
    check_split(split)
    tables, broken = [], []
    report(0, len(urls))
    with ThreadPoolExecutor() as pool, tempfile.TemporaryDirectory(prefix="synaug-import-") as folder:
        for n, url in enumerate(urls):
            tar = _inside(store, url)
            where, key = locate(store, tar)
            if isinstance(where, FileStore):
                path = where.root / key
                if not path.is_file():
                    raise DataError(f"no tar {path}")
            else:
                path = Path(folder, "scanned.tar")
                where.download(key, path)
            table = scan(path, tar)
            bad = broken_rows(path, table, pool)
            if bad and not skip_broken:
                row, why = next(iter(bad.items()))
                advice = "repair the tar, or leave such images out with --skip-broken"
                raise DataError(cannot_be_decoded(store, table, row, why, advice=advice))
            broken += [f"{tar}/{table.key[row]}: {why}" for row, why in bad.items()]
            tables.append(table.select(row for row in range(len(table.key)) if row not in bad))
            report(n + 1, len(urls))
    ids = [entry.id for entry in classes] if classes else None
    source = hashlib.sha256(
        "\n".join(table.model_dump_json() for table in tables).encode() + repr(ids).encode()
    ).hexdigest()
    real, done_before = publish(store, split, tables, classes=ids, source=source)
    return Packed(real, done_before, broken)


def expand(source: str) -> list[str]:
    """List the URLs of a brace range. Raises UsageError for braces that do not match."""
    try:
        urls = list(braceexpand(source))
    except ValueError as error:
        raise UsageError(
            f"{source!r}: the braces do not match; a range is like train-{{000000..000010}}.tar"
        ) from error
    return [url if "://" in url else str(Path(url).expanduser().absolute()) for url in urls]


def _images(folder: Path) -> Iterable[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _integer(name: str, classes: list[ClassEntry] | None) -> int:
    if not name.isdecimal():
        raise DataError(f"{name!r} is no integer label; with --labels folder names and CSV labels are integers from 0")
    if classes and int(name) >= len(classes):
        raise DataError(
            f"the label {name} is out of range: there are {len(classes)} classes, labels go from 0 to "
            f"{len(classes) - 1}"
        )
    return int(name)


def _ids(names: list[str], classes: list[ClassEntry] | None) -> dict[str, str]:
    """Find the class id of each name: itself where it is one, else its slug."""
    known = {entry.id for entry in classes} if classes else None
    id_of: dict[str, str] = {}
    for name in names:
        class_id = name if known and name in known else slug(name)
        if not class_id:
            raise DataError(f"{name!r} gives no class id; an id has ASCII letters, digits, - and _")
        if known is not None and class_id not in known:
            raise DataError(
                f"{name!r} (id {class_id}) is no class of the list ({len(known)} ids, like "
                f"{', '.join(sorted(known)[:3])}); rename it, add it to the list, or give --labels if names are "
                "integer labels"
            )
        if class_id in id_of.values():
            other = next(other for other, value in id_of.items() if value == class_id)
            raise DataError(f"{other!r} and {name!r} both give the class id {class_id}; rename one")
        id_of[name] = class_id
    return id_of


def _inside(store: Store, url: str) -> str:
    """Return the key, when the URL is in the store (which may then move); else the URL."""
    plain = url.removeprefix("file://")
    return plain.removeprefix(store.url + "/")
