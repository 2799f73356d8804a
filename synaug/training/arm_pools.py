"""The pools of an arm: its real images, and the synthetic ones (an oracle's: more real ones) mixed with them."""

import hashlib
from typing import NamedTuple

from synaug.config.arms import ResolvedArm
from synaug.data import pools
from synaug.data.manifest import TarTable
from synaug.data.seeding import draws
from synaug.data.splits import split_pool
from synaug.errors import DataError
from synaug.run.job import Job


def tables(job: Job, arm: ResolvedArm) -> dict[str, list[TarTable]]:
    """Choose the images of an arm, by source: `real`, and `synthetic` for a mixed arm.

    Raises DataError when a pool is missing or too small.
    """
    real = pools.real_pool(job.store, job.config, job.plan.classes)
    if arm.scale is None:
        return {"real": real}
    if arm.oracle is not None:
        wanted = arm.pool_images or arm.scale * sum(len(table.key) for table in real)
        other = cut_pool(split_pool(job.store, arm.oracle, job.plan.classes), wanted, seed=job.config.seed)
    else:
        other = pools.synthetic_pool(
            job.store,
            job.run,
            job.config,
            scale=arm.scale,
            prompt_kinds=arm.prompt_kinds,
            pool_images=arm.pool_images,
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
    """Digest a pool: another tar, or another choice of its images, gives another digest."""
    hashed = hashlib.sha256()
    for table in sorted(pool, key=lambda table: table.tar):
        hashed.update(f"{table.tar}\n{table.sha256}\n{table.offset}\n{table.label}\n".encode())
    return hashed.hexdigest()
