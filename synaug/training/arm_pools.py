"""The pools of an arm: its real images, and the synthetic ones (or the oracle's real ones) that fill the rest of its batches."""

import hashlib
from typing import NamedTuple

from synaug.config.arms import ResolvedArm
from synaug.data import pools
from synaug.data.manifest import TarTable
from synaug.data.seeding import draws
from synaug.data.splits import split_pool
from synaug.errors import DataError
from synaug.run.job import Job


def tables(job: Job, recipe: ResolvedArm) -> dict[str, list[TarTable]]:
    """Tables by source: `real`, and `synthetic` for a mixed arm. Raises DataError when a pool is missing or too small."""
    real = pools.real_pool(job.store, job.config, job.plan.classes)
    if not recipe.n_synthetic:
        return {"real": real}
    if recipe.kind == "oracle":
        wanted = recipe.pool_images or recipe.scale * sum(len(table.key) for table in real)
        other = cut_pool(split_pool(job.store, job.config.oracle, job.plan.classes), wanted, seed=job.config.seed)
    else:
        other = pools.synthetic_pool(
            job.store,
            job.run,
            job.config,
            scale=recipe.scale,
            prompt_kinds=recipe.prompt_kinds,
            pool_images=recipe.pool_images,
        )
    return {"real": real, "synthetic": other}


class _Place(NamedTuple):
    table: int
    row: int


class _Dealt(NamedTuple):
    """Compared in this order: the first image of every class comes before the second of any."""

    turn: int
    draw: float
    place: _Place


def cut_pool(pool: list[TarTable], images: int, *, seed: int) -> list[TarTable]:
    """Choose so many labelled images, seeded and balanced over classes: the first of each class, the second, and so on.

    Raises DataError when the pool holds fewer.
    """
    by_label: dict[int, list[_Place]] = {}
    for t, table in enumerate(pool):
        for row, label in enumerate(table.label):
            if label >= 0:
                by_label.setdefault(label, []).append(_Place(t, row))
    available = sum(map(len, by_label.values()))
    if available < images:
        raise DataError(
            f"the oracle's split holds {available} images of these classes and {images} are asked for; "
            "lower the arm's scale or pool_images"
        )
    dealt = []
    for label, places in by_label.items():
        rng = draws("oracle", seed, label)
        rng.shuffle(places)
        dealt += [_Dealt(turn, rng.random(), place) for turn, place in enumerate(places)]
    chosen: list[list[int]] = [[] for _ in pool]
    for image in sorted(dealt)[:images]:
        chosen[image.place.table].append(image.place.row)
    return [table.select(sorted(rows)) for table, rows in zip(pool, chosen, strict=True)]


def digest(pool: list[TarTable]) -> str:
    """Changes when a tar or the choice of its images changes."""
    hashed = hashlib.sha256()
    for table in sorted(pool, key=lambda table: table.tar):
        hashed.update(f"{table.tar}\n{table.sha256}\n{table.offset}\n{table.label}\n".encode())
    return hashed.hexdigest()
