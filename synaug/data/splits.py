"""The labelled images that were imported, split by split: what names a split, and its tables."""

import re
from collections.abc import Sequence

from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.manifest import RealSplit, TarTable
from synaug.data.store import Store
from synaug.errors import DataError, UsageError

SPLIT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def check_split(split: str) -> str:
    """Return the name, if a split may have it. Raises UsageError."""
    if not SPLIT.fullmatch(split) or re.search(r"-\d{6}$", split):
        raise UsageError(
            f"{split!r} cannot name a split; letters, digits, - and _ are allowed, a letter first, and no six digits "
            "at the end"
        )
    return split


def load_split(store: Store, split: str) -> tuple[RealSplit, list[TarTable]]:
    """Load a split as it was imported, with its own labels. Raises DataError when it was not."""
    if not store.exists(layout.real_split(split)):
        names = [
            key.removeprefix("real/").removesuffix(".json") for key in store.list("real/") if key.endswith(".json")
        ]
        known = ", ".join(name for name in names if not name[-6:].isdigit()) or "none yet"
        raise DataError(f"no split {split!r} in the store {store.url}; imported: {known}; `synaug import` adds one")
    real = RealSplit.model_validate_json(store.get(layout.real_split(split)))
    return real, [TarTable.model_validate_json(store.get(layout.real_entry(split, n))) for n in range(real.tars)]


def split_pool(store: Store, split: str, classes: Sequence[ClassEntry]) -> list[TarTable]:
    """Load all images of a split, labelled by the position of their class id in `classes`; -1: in none of them.

    Raises DataError when the split is not imported, or has labels and no class ids, and fewer classes are given.
    """
    real, tables = load_split(store, split)
    if real.classes is None:
        largest = max(real.per_label, default=-1)
        if largest >= len(classes):
            raise DataError(
                f"the split {split!r} has the label {largest}, and there are {len(classes)} classes; "
                f"labels go from 0 to {len(classes) - 1}: import it with the list of its own classes (--classes)"
            )
        return tables
    positions = {entry.id: n for n, entry in enumerate(classes)}
    new = [positions.get(class_id, -1) for class_id in real.classes]
    return [table.model_copy(update={"label": [new[label] for label in table.label]}) for table in tables]
