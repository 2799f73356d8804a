"""The images that diagnostics look at, as tables of tars: synthetic ones by prompt kind, and a split of real ones."""

from collections.abc import Callable
from typing import get_args

from synaug.config.training import PromptKind
from synaug.data import layout, pools, splits
from synaug.data.manifest import TarTable
from synaug.evaluation.diagnostics.schema import digest
from synaug.run.job import Job

Tables = list[TarTable]


def synthetic(job: Job, scale: int) -> dict[str, Tables]:
    """List the run's synthetic images up to a scale, by the prompt kinds that it has.

    Raises DataError when the run is not indexed up to the scale.
    """
    by_kind = {
        kind: pools.synthetic_pool(job.store, job.run, job.config, scale=scale, prompt_kinds=[kind])
        for kind in get_args(PromptKind)
    }
    return {kind: tables for kind, tables in by_kind.items() if tables}


def real(job: Job, split: str) -> Tables:
    """List the real images of a split: of the training split those that the run trains on, of another one all.

    Raises DataError for a split that is not imported.
    """
    if split == job.config.real.train:
        return pools.real_pool(job.store, job.config, job.plan.classes)
    return splits.split_pool(job.store, split, job.plan.classes)


def real_digest(job: Job, split: str) -> str:
    """Compute a text that changes with a split, and for the training split with what the run takes of it.

    Raises DataError for a split that is not imported.
    """
    splits.load_split(job.store, split)
    of_split = digest(job.store, layout.real_split(split))
    return f"{of_split} {job.plan.digest}" if split == job.config.real.train else of_split


def sample_tables(job: Job, tables: Tables, wanted: Callable[[int, int], bool]) -> Tables:
    """Draw the images with wanted(rank, label), by the run's seed: a table for each given one.

    Ranks count within a class, from 0. Images of no class of the run are left out.
    """
    return pools.sample_per_class(
        tables, lambda rank, label: label >= 0 and wanted(rank, label), purpose="diagnose", seed=job.config.seed
    )


def not_empty(tables: Tables) -> Tables:
    """Leave out tables that hold nothing, so that their tars are not read."""
    return [table for table in tables if table.key]
