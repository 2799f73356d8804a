"""Which images a run uses, as tables of tars: the real training images, and the synthetic ones at a scale."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.data.index import load_index, load_manifest
from synaug.data.manifest import TarTable
from synaug.data.seeding import derive
from synaug.data.splits import split_pool
from synaug.data.store import Store
from synaug.errors import DataError


def real_pool(store: Store, config: Config, classes: Sequence[ClassEntry]) -> list[TarTable]:
    """Choose the run's real training images (`real.per_class`, `real.largest_to_smallest`).

    They are labelled by position in `classes`; images of other classes are left out. Raises DataError for a split that
    is not imported, or whose labels do not fit.
    """
    tables = split_pool(store, config.real.train, classes)
    tables = [table.select(n for n, label in enumerate(table.label) if label >= 0) for table in tables]
    if config.real.per_class is not None or config.real.largest_to_smallest is not None:
        counts = Counter(label for table in tables for label in table.label)
        quota = real_quota(counts, len(classes), config.real.per_class, config.real.largest_to_smallest)
        tables = sample_per_class(tables, lambda rank, label: rank < quota[label], purpose="real", seed=config.seed)
    return [table for table in tables if table.key]


def real_counts(store: Store, config: Config, classes: Sequence[ClassEntry]) -> dict[str, int]:
    """Count the real training images used of each class id, in label order. Raises DataError when a class has none."""
    counts = Counter(label for table in real_pool(store, config, classes) for label in table.label)
    empty = [entry.id for n, entry in enumerate(classes) if not counts[n]]
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise DataError(
            f"no real image of {', '.join(empty[:5])}{more} in the split {config.real.train!r}; "
            "import some, or take the class out of `classes`"
        )
    return {entry.id: counts[n] for n, entry in enumerate(classes)}


def synthetic_pool(
    store: Store,
    run: str,
    config: Config,
    *,
    scale: int,
    prompt_kinds: Iterable[str] | None = None,
    pool_images: int | None = None,
) -> list[TarTable]:
    """Choose the kept images of x1 ... x{scale}, as the index lists them.

    prompt_kinds: only these (plain, cd, sd). pool_images: cut to so many, seeded, balanced over classes, and nested
    (100 within 200). Raises DataError when the run is not indexed so far, or has fewer images.
    """
    index = load_index(store, run)
    if index.scale < scale or index.min_clip_score != config.index.min_clip_score:
        asked = f"{scale}x with min_clip_score {config.index.min_clip_score}"
        raise DataError(
            f"the index of {run} reaches {index.scale}x with min_clip_score {index.min_clip_score}; {asked} is asked "
            f"for: run `python -m synaug index --store {store.url} --run {run}`"
        )
    kinds = None if prompt_kinds is None else set(prompt_kinds)
    tables = []
    for part in index.parts:
        if part.multiple <= scale:
            manifest = load_manifest(store, part.manifest, part.manifest_sha256)
            rows = enumerate(zip(manifest.kind, manifest.clip_score, strict=True))
            tables.append(
                manifest.select(
                    n for n, (kind, score) in rows if (kinds is None or kind in kinds) and index.keeps(score)
                )
            )
    if pool_images is not None:
        have = sum(len(table.key) for table in tables)
        if have < pool_images:
            raise DataError(
                f"a pool of {pool_images} images is asked for at {scale}x ({prompt_kinds or 'all kinds'}); there are "
                f"{have}"
            )
        tables = _select(tables, _ranked(tables, "pool", config.seed)[:pool_images])
    return [table for table in tables if table.key]


def sample_per_class(
    tables: list[TarTable], wanted: Callable[[int, int], bool], *, purpose: str, seed: int
) -> list[TarTable]:
    """Choose the images with wanted(rank, label), and return a table for each given one.

    Ranks count within a class from 0, by a seeded draw of the key: `rank < n` is nested, and another tar layout changes
    nothing.
    """
    return _select(tables, [image for image in _ranked(tables, purpose, seed) if wanted(image.rank, image.label)])


def real_quota(
    counts: Counter[int], classes: int, per_class: int | None, largest_to_smallest: float | None
) -> list[int]:
    """Compute the images used of each label: at most per_class, then an exponential long tail in label order.

    With m the largest count left, class i of C keeps at most m * ratio ** (-i / (C - 1)), at least 1 (after CIFAR-LT,
    Cui et al. 2019).
    """
    quota = [min(counts[label], per_class or counts[label]) for label in range(classes)]
    if largest_to_smallest is not None and classes > 1:
        largest = max(quota)
        tail = [max(1, round(largest * largest_to_smallest ** (-label / (classes - 1)))) for label in range(classes)]
        quota = [min(have, most) for have, most in zip(quota, tail, strict=True)]
    return quota


class _Ranked(NamedTuple):
    """An image of a pool."""

    rank: int  # within the class, from 0
    label: int
    draw: int
    table: int
    row: int


def _ranked(tables: list[TarTable], purpose: str, seed: int) -> list[_Ranked]:
    """Rank the images of each class by a seeded draw of the key, and list all by rank, then draw.

    How the images lie in tars plays no part.
    """
    by_label: dict[int, list[tuple[int, str, int, int]]] = defaultdict(list)  # draw, key, table, row: plain for speed
    for t, table in enumerate(tables):
        for n, (key, label) in enumerate(zip(table.key, table.label, strict=True)):
            by_label[label].append((derive(purpose, seed, key), key, t, n))
    ranked = [
        _Ranked(rank, label, draw, table, row)
        for label, places in by_label.items()
        for rank, (draw, _, table, row) in enumerate(sorted(places))
    ]
    ranked.sort(key=itemgetter(0, 2))  # by rank, then draw
    return ranked


def _select(tables: list[TarTable], images: Iterable[_Ranked]) -> list[TarTable]:
    chosen: list[list[int]] = [[] for _ in tables]
    for image in images:
        chosen[image.table].append(image.row)
    return [table.select(sorted(rows)) for table, rows in zip(tables, chosen, strict=True)]
