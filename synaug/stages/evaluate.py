"""Accuracy of one trained model on every test set, written to runs/{run}/evaluate/{arm}/{seed}.json.

torch, and what needs it, is imported when there is something to measure.
"""

import json
import time
from typing import TYPE_CHECKING, Any

from synaug.backends.devices import find_device
from synaug.config.run import TestSet
from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.data.splits import split_pool
from synaug.errors import DataError, UsageError
from synaug.run.completion import Completion
from synaug.run.job import Job, Progress
from synaug.run.results import Evaluation, TestResult

if TYPE_CHECKING:
    from synaug.evaluation.accuracy import Counts

HELP = "measure one trained model on every test set"
EPILOG = """\
reads    runs/RUN/train/ARM/SEED/ (settings.json, model.safetensors), the tars of every split under `tests:`
writes   runs/RUN/evaluate/ARM/SEED.json: top-1, top-5 and accuracy per class on each test set
needs    a finished `train` of that arm and seed; a GPU helps with large images
example  synaug evaluate --store ./store --run demo --arm auxbn-2x --seed 0
A test set that was added later is measured alone; what was measured stays. Labels are matched by class id."""


def run(job: Job) -> None:
    """Measure the test sets without a current result.

    Raises UsageError without arm and seed, DataError when the training is not finished or a test set is not imported.
    """
    if job.arm is None or job.seed is None:
        raise UsageError("evaluate needs --arm and --seed, like --arm auxbn-2x --seed 0")
    completion = Completion(job.store, job.run, job.config, job.plan)
    trained = completion.training_digest(job.arm, job.seed)
    if trained is None:
        raise DataError(
            f"arm {job.arm}, seed {job.seed} is not trained; run `synaug train --arm {job.arm} --seed {job.seed}` first"
        )
    earlier = completion.evaluation(job.arm, job.seed)
    wanted = completion.unmeasured_tests(earlier)
    if earlier is not None and not wanted:
        return
    for test in wanted.values():
        if completion.split_digest(test.split) is None:
            raise DataError(
                f"test split {test.split!r} is not in {job.store.url}; `synaug import` it, or take it out of `tests:`"
            )
    frozen = json.loads(job.store.get(layout.training(job.run, job.arm, job.seed, "settings.json")))
    results = (earlier.tests if earlier else {}) | _measure(job, job.arm, job.seed, frozen, wanted, completion)
    evaluation = Evaluation(
        arm=job.arm,
        seed=job.seed,
        kind=frozen["kind"],
        scale=frozen["scale"],
        model=frozen["settings"]["model"],
        trained=trained,
        tests={name: results[name] for name in job.config.tests},
    )
    job.store.put(layout.evaluation(job.run, job.arm, job.seed), evaluation.model_dump_json(indent=1).encode())


def _measure(
    job: Job, arm: str, seed: int, frozen: dict[str, Any], wanted: dict[str, TestSet], completion: Completion
) -> dict[str, TestResult]:
    """Of the wanted test sets. frozen: the training's settings.json."""
    if not wanted:
        return {}
    import torch

    from synaug.evaluation import accuracy

    settings = TrainingSettings.model_validate(frozen["settings"])
    classes, device = job.plan.classes, find_device(job.config.compute.device)
    weights = job.store.get(layout.training(job.run, arm, seed, "model.safetensors"))
    model = accuracy.load_model(settings, len(classes), weights).to(device)
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    among = {
        name: accuracy.subset_labels(test.subset, classes) if test.subset else None for name, test in wanted.items()
    }
    sizes = {
        name: sum(len(table.key) for table in split_pool(job.store, test.split, classes))
        for name, test in wanted.items()
    }
    started, before, results = time.monotonic(), 0, {}
    phases: dict[str, float] = {}
    for name, test in wanted.items():
        began, seen = time.monotonic(), 0
        counts: Counts | None = None
        images = accuracy.batches(job.store, test.split, classes, settings, threads=job.config.compute.loader_threads)
        for totals in accuracy.count(model, images, len(classes), among=among[name], device=device):
            counts = totals
            seen = min(seen + accuracy.BATCH, sizes[name])
            done, total = before + seen, sum(sizes.values())
            job.report(Progress("evaluate", f"evaluate-{arm}-{seed}", done, total, "image", {"test": name}))
        before += sizes[name]
        results[name] = _result(job, name, test, counts, sizes[name], completion.split_digest(test.split))
        phases[name] = round(time.monotonic() - began, 3)
    seconds = time.monotonic() - started
    timing = {"seconds": round(seconds, 3), "phases": phases, "images": before, "rate": round(before / seconds, 1)}
    job.store.put(layout.timing(job.run, "evaluate", f"{arm}-{seed}"), json.dumps(timing, indent=1).encode())
    return results


def _result(
    job: Job, name: str, test: TestSet, counts: "Counts | None", size: int, split_digest: str | None
) -> TestResult:
    """size: images of the split; split_digest: of the list that they were read by."""
    n = 0 if counts is None else int(counts.images.sum())
    if counts is None or not n:
        raise DataError(
            f"test {name}: no image of split {test.split!r} is of a class of the run; "
            "its labels are matched by class id"
        )
    assert split_digest is not None
    by_class = zip(job.plan.classes, counts.images.tolist(), counts.top1.tolist(), strict=True)
    shown = [(entry.id, images, right) for entry, images, right in by_class if images]
    return TestResult(
        split=test.split,
        data=split_digest,
        domain=test.domain,
        subset=test.subset,
        n=n,
        unknown=size - n,
        top1=int(counts.top1.sum()) / n,
        top5=int(counts.top5.sum()) / n,
        per_class={class_id: right / images for class_id, images, right in shown},
        per_class_n={class_id: images for class_id, images, _ in shown},
    )
