"""Fidelity: does a classifier that was trained on real images find the class in the synthetic ones?

Not a measure of how useful images are: those that teach nothing new reach 100%.
"""

from synaug.backends.devices import find_device
from synaug.data import layout
from synaug.data.index import load_index
from synaug.evaluation import accuracy
from synaug.evaluation.accuracy import Counts
from synaug.evaluation.diagnostics import image_sets
from synaug.evaluation.diagnostics.classifier import Classifier
from synaug.evaluation.diagnostics.schema import ALL, Accuracy, Fidelity, FidelityInputs, digest
from synaug.run.job import Job, Progress


def inputs(job: Job, classifier: Classifier, *, images_per_class: int) -> FidelityInputs:
    """Raises DataError when the run is not indexed."""
    load_index(job.store, job.run)
    inside = {
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
        tests={name: digest(job.store, key) for name, key in inside.items() if job.store.exists(key)},
    )


def measure(job: Job, classifier: Classifier, given: FidelityInputs) -> Fidelity:
    """On at most given.images_per_class of each class of the synthetic images, all kinds together, and of each test in domain."""
    device = find_device(job.config.compute.device)
    model, ids = classifier.load(device), [entry.id for entry in job.plan.classes]
    kinds, tests = _drawn(job, given)
    total = sum(len(table.key) for tables in (*kinds.values(), *tests.values()) for table in tables)
    seen = 0

    def counted(tables: image_sets.Tables) -> Counts:
        nonlocal seen
        decoded = accuracy.decoded(job.store, tables, classifier.settings, threads=job.config.compute.loader_threads)
        for totals in accuracy.count(model, decoded, len(ids), device=device):
            job.report(Progress("diagnose", "diagnose-fidelity", seen + int(totals.images.sum()), total, "image"))
        seen += int(totals.images.sum())
        return totals

    by_kind = {kind: counted(tables) for kind, tables in kinds.items()}
    by_test = {test: counted(tables) for test, tables in tests.items()}
    everything = Counts(
        *(sum(getattr(one, column) for one in by_kind.values()) for column in ("images", "top1", "top5"))
    )
    by_class = zip(ids, everything.top1.tolist(), everything.images.tolist(), strict=True)
    return Fidelity(
        inputs=given,
        kinds={name: _accuracy(one) for name, one in ({ALL: everything} | by_kind).items()},
        classes={class_id: Accuracy(top1=right / n, n=n) for class_id, right, n in by_class if n},
        real={name: _accuracy(one) for name, one in by_test.items()},
    )


def _accuracy(counts: Counts) -> Accuracy:
    n = int(counts.images.sum())
    return Accuracy(top1=int(counts.top1.sum()) / n, n=n)


def _drawn(job: Job, given: FidelityInputs) -> tuple[dict[str, image_sets.Tables], dict[str, image_sets.Tables]]:
    """By prompt kind, drawn from all kinds together so that the run's mix stays; and by test."""

    def few(rank: int, label: int) -> bool:
        return rank < given.images_per_class

    pool = [(kind, table) for kind, tables in image_sets.synthetic(job, given.scale).items() for table in tables]
    kinds: dict[str, image_sets.Tables] = {}
    for (kind, _), table in zip(pool, image_sets.sample_tables(job, [table for _, table in pool], few), strict=True):
        kinds.setdefault(kind, []).append(table)
    tests = {
        name: image_sets.sample_tables(job, image_sets.real(job, job.config.tests[name].split), few)
        for name in given.tests
    }
    kinds, tests = ({name: image_sets.held(tables) for name, tables in sets.items()} for sets in (kinds, tests))
    return {kind: tables for kind, tables in kinds.items() if tables}, {
        test: tables for test, tables in tests.items() if tables
    }
