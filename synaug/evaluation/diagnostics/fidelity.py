"""Fidelity: does a classifier that was trained on real images find the class in the synthetic ones?

Not a measure of how useful images are: those that teach nothing new reach 100%.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

from synaug.backends.devices import find_device
from synaug.data import layout
from synaug.data.index import load_index
from synaug.evaluation import accuracy
from synaug.evaluation.accuracy import Counts
from synaug.evaluation.diagnostics import image_sets
from synaug.evaluation.diagnostics.classifier import Classifier
from synaug.evaluation.diagnostics.schema import ALL, Accuracy, Fidelity, FidelityInputs, digest
from synaug.run.job import Job, Progress


@dataclass(frozen=True)
class Samples:
    """The images that are looked at, without sets that hold none."""

    by_kind: dict[str, image_sets.Tables]  # synthetic, by prompt kind
    by_test: dict[str, image_sets.Tables]

    @property
    def size(self) -> int:
        """Count all images."""
        sets = (*self.by_kind.values(), *self.by_test.values())
        return sum(len(table.key) for tables in sets for table in tables)


def inputs(job: Job, classifier: Classifier, *, images_per_class: int) -> FidelityInputs:
    """Describe what fidelity would be computed from now. Raises DataError when the run is not indexed."""
    load_index(job.store, job.run)
    in_domain = {
        name: layout.real_split(test.split)
        for name, test in job.config.tests.items()
        if test.domain == "in" and not test.subset
    }
    return FidelityInputs(
        classifier=classifier.name,
        trained=classifier.trained,
        synthetic=digest(job.store, layout.index(job.run)),
        scale=job.config.multiple,
        images_per_class=images_per_class,
        tests={name: digest(job.store, key) for name, key in in_domain.items() if job.store.exists(key)},
    )


def measure(job: Job, classifier: Classifier, inputs: FidelityInputs) -> Fidelity:
    """Measure the classifier's accuracy on synthetic images, all kinds together, and on each test in domain.

    At most inputs.images_per_class of each class are looked at.
    """
    device = find_device(job.config.compute.device)
    model, ids = classifier.load(device), [entry.id for entry in job.plan.classes]
    samples = _sample(job, inputs)
    seen = 0

    def count(tables: image_sets.Tables) -> Counts:
        nonlocal seen
        decoded = accuracy.decoded(job.store, tables, classifier.settings, threads=job.config.compute.loader_threads)
        for totals in accuracy.count(model, decoded, len(ids), device=device):
            done = seen + int(totals.images.sum())
            job.report(Progress("diagnose", "diagnose-fidelity", done, samples.size, "image"))
        seen = done
        return totals

    by_kind = {kind: count(tables) for kind, tables in samples.by_kind.items()}
    by_test = {test: count(tables) for test, tables in samples.by_test.items()}
    together = reduce(add, by_kind.values())
    by_class = zip(ids, together.top1.tolist(), together.images.tolist(), strict=True)
    return Fidelity(
        inputs=inputs,
        kinds={ALL: _accuracy(together)} | {kind: _accuracy(counts) for kind, counts in by_kind.items()},
        classes={class_id: Accuracy(top1=right / n, n=n) for class_id, right, n in by_class if n},
        real={test: _accuracy(counts) for test, counts in by_test.items()},
    )


def _accuracy(counts: Counts) -> Accuracy:
    n = int(counts.images.sum())
    return Accuracy(top1=int(counts.top1.sum()) / n, n=n)


def _sample(job: Job, inputs: FidelityInputs) -> Samples:
    """Draw synthetic images from all prompt kinds together, so that the run's mix stays, and images of each test."""

    def few(rank: int, label: int) -> bool:
        return rank < inputs.images_per_class

    pool = [(kind, table) for kind, tables in image_sets.synthetic(job, inputs.scale).items() for table in tables]
    kinds: dict[str, image_sets.Tables] = {}
    for (kind, _), table in zip(pool, image_sets.sample_tables(job, [table for _, table in pool], few), strict=True):
        kinds.setdefault(kind, []).append(table)
    tests = {
        name: image_sets.sample_tables(job, image_sets.real(job, job.config.tests[name].split), few)
        for name in inputs.tests
    }
    return Samples(_without_empty(kinds), _without_empty(tests))


def _without_empty(sets: dict[str, image_sets.Tables]) -> dict[str, image_sets.Tables]:
    left = {name: image_sets.not_empty(tables) for name, tables in sets.items()}
    return {name: tables for name, tables in left.items() if tables}
