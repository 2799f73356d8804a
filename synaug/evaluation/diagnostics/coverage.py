"""Diversity: how much of the real images the synthetic ones cover, within each class and over all.

Every row of a view has the same number of images, since the measures depend on it.
"""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from synaug.backends.devices import find_device
from synaug.data import layout
from synaug.data.index import load_index
from synaug.errors import DataError
from synaug.evaluation.diagnostics import image_sets, precision_recall
from synaug.evaluation.diagnostics.features import Features
from synaug.evaluation.diagnostics.schema import ALL, REAL, CoverageInputs, CoverageMeasures, CoverageRow, View, digest
from synaug.run.job import Job, Progress

FEWEST = 2 * precision_recall.K  # images of a class and set below which the measures say nothing
MOST_OVER_ALL = 10_000  # images of each set in the measure over all classes: its time grows with the square


@dataclass(frozen=True)
class ClassSizes:
    """Images that every set can give of a class, by label; real images count for two sets."""

    enough: dict[int, int]
    too_few: dict[int, int]  # below FEWEST


def inputs(job: Job, name: str, features: Features, *, reference: str, images_per_class: int) -> CoverageInputs:
    """Describe what a view would be computed from now.

    name: of the feature space. Raises DataError when the run is not indexed or the reference not imported.
    """
    load_index(job.store, job.run)
    return CoverageInputs(
        features=name,
        model=features.model,
        reference=reference,
        real=image_sets.real_digest(job, reference),
        synthetic=digest(job.store, layout.index(job.run)),
        scale=job.config.multiple,
        images_per_class=images_per_class,
    )


def measure(job: Job, features: Features, inputs: CoverageInputs) -> View:
    """Measure one view.

    Rows: all kinds, each kind, and real: two disjoint draws of the reference, each as large as the other sets.
    Raises DataError where no class holds enough images.
    """
    kinds, real = image_sets.synthetic(job, inputs.scale), image_sets.real(job, inputs.reference)
    left_out = {
        kind: sum(_counts(tables).values()) for kind, tables in kinds.items() if _mean_count(job, tables) < FEWEST
    }
    sets = {ALL: [table for tables in kinds.values() for table in tables]}
    sets |= {kind: tables for kind, tables in kinds.items() if kind not in left_out}
    sizes = _sizes(job, sets, real, inputs)
    n = sizes.enough
    total, done = (len(sets) + 2) * sum(n.values()), 0

    def embed(tables: image_sets.Tables, *, draw: int = 0) -> dict[int, Tensor]:
        """Embed the first n images of each class, or the n after those, by label."""
        nonlocal done
        drawn = image_sets.not_empty(
            image_sets.sample_tables(job, tables, lambda rank, label: label in n and rank // n[label] == draw)
        )
        batches = []
        for batch in features.batches(drawn):
            batches.append(batch)
            done += len(batch)
            job.report(Progress("diagnose", f"diagnose-coverage-{inputs.features}", done, total, "image"))
        return _by_class(torch.cat(batches), [label for table in drawn for label in table.label], seed=job.config.seed)

    reference, ids = embed(real), [entry.id for entry in job.plan.classes]
    rows = {name: _row(job, reference, embed(tables), ids) for name, tables in sets.items()}
    rows[REAL] = _row(job, reference, embed(real, draw=1), ids)
    return View(
        inputs=inputs,
        k=precision_recall.K,
        n={ids[label]: size for label, size in n.items()},
        n_over_all=sum(_shares(n).values()),
        rows=rows,
        left_out=left_out | {ids[label]: size for label, size in sizes.too_few.items()},
    )


def _counts(tables: image_sets.Tables) -> Counter[int]:
    return Counter(label for table in tables for label in table.label if label >= 0)


def _mean_count(job: Job, tables: image_sets.Tables) -> float:
    return sum(_counts(tables).values()) / len(job.plan.classes)


def _sizes(job: Job, sets: dict[str, image_sets.Tables], real: image_sets.Tables, inputs: CoverageInputs) -> ClassSizes:
    """Raises DataError where no class has enough."""
    counts, of_real = [_counts(tables) for tables in sets.values()], _counts(real)
    least = {label: min(of_set[label] for of_set in counts) for label in range(len(job.plan.classes))}
    sizes = {label: min(inputs.images_per_class, of_real[label] // 2, size) for label, size in least.items()}
    enough = {label: size for label, size in sizes.items() if size >= FEWEST}
    if not enough:
        raise DataError(
            f"no class holds {FEWEST} synthetic images of each kind and {2 * FEWEST} real ones of the split "
            f"{inputs.reference!r}: at most {max(least.values())} and {max(of_real.values(), default=0)}; "
            "give a larger split as --reference, or go on to a larger scale"
        )
    return ClassSizes(enough, {label: size for label, size in sizes.items() if label not in enough})


def _shares(n: dict[int, int]) -> dict[int, int]:
    """Share out the images of the measure over all to the classes, at most MOST_OVER_ALL together."""
    part = min(1.0, MOST_OVER_ALL / sum(n.values()))
    return {label: max(1, int(part * size)) for label, size in n.items()}


def _by_class(embedded: Tensor, labels: list[int], *, seed: int) -> dict[int, Tensor]:
    """Split embeddings (n, d) by label, shuffled, since a part of them may be taken and tables come by kind."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    embedded, shuffled = embedded[order], torch.tensor(labels)[order]
    return {int(label): embedded[shuffled == label] for label in shuffled.unique()}


def _row(job: Job, real: dict[int, Tensor], other: dict[int, Tensor], ids: list[str]) -> CoverageRow:
    device = find_device(job.config.compute.device)
    classes = {ids[label]: precision_recall.measure(real[label].to(device), other[label].to(device)) for label in real}
    shares = _shares({label: len(points) for label, points in real.items()})
    all_real, all_other = (
        torch.cat([points[label][:share] for label, share in shares.items()]).to(device) for points in (real, other)
    )
    mean = {
        name: sum(getattr(measures, name) for measures in classes.values()) / len(classes)
        for name in CoverageMeasures.model_fields
    }
    return CoverageRow(
        by_class=CoverageMeasures(**mean), over_all=precision_recall.measure(all_real, all_other), classes=classes
    )
