"""Accuracy of one trained model on every test set, written to runs/{run}/evaluate/{arm}/{seed}.json."""

import hashlib
import json
import time

from synaug.data import layout
from synaug.errors import DataError, UsageError
from synaug.run.job import Job, Progress
from synaug.run.results import Evaluation, TestResult

HELP = "measure one trained model on every test set"
EPILOG = """\
reads    runs/RUN/train/ARM/SEED/ (settings.json, model.safetensors), the tars of every split under `tests:`
writes   runs/RUN/evaluate/ARM/SEED.json: top-1, top-5 and accuracy per class on each test set
needs    a finished `train` of that arm and seed; a GPU helps with large images
example  synaug evaluate --store ./store --run demo --arm auxbn-2x --seed 0
A test set that was added later is measured alone; what was measured stays. Labels are matched by class id."""


def run(job: Job) -> None:
    """Raises UsageError without arm and seed, DataError when the training is not finished or a test set is not imported."""
    if job.arm is None or job.seed is None:
        raise UsageError("evaluate needs --arm and --seed, like --arm auxbn-2x --seed 0")
    done_key = layout.training(job.run, job.arm, job.seed, "done.json")
    if not job.store.exists(done_key):
        raise DataError(
            f"arm {job.arm}, seed {job.seed} is not trained; run `synaug train --arm {job.arm} --seed {job.seed}` first"
        )
    trained = hashlib.sha256(job.store.get(done_key)).hexdigest()
    known = _known(job, trained)
    wanted = {name: test for name, test in job.config.tests.items() if not _measured(job, test, known.get(name))}
    if wanted or not known:
        _write(job, trained, known | (_measure(job, wanted) if wanted else {}))


def _known(job: Job, trained: str) -> dict[str, TestResult]:
    """Results of this very training that are there already."""
    key = layout.evaluation(job.run, job.arm, job.seed)
    if not job.store.exists(key):
        return {}
    earlier = Evaluation.model_validate_json(job.store.get(key))
    return earlier.tests if earlier.trained == trained else {}


def _digest(job: Job, split: str) -> str:
    key = layout.real_split(split)
    if not job.store.exists(key):
        raise DataError(
            f"test split {split!r} is not in {job.store.url}; `synaug import` it, or take it out of `tests:`"
        )
    return hashlib.sha256(job.store.get(key)).hexdigest()


def _measured(job: Job, test, result: TestResult | None) -> bool:
    return result is not None and (result.split, result.subset, result.domain, result.data) == (
        test.split,
        test.subset,
        test.domain,
        _digest(job, test.split),
    )


def _frozen(job: Job) -> dict:
    return json.loads(job.store.get(layout.training(job.run, job.arm, job.seed, "settings.json")))


def _measure(job: Job, wanted: dict) -> dict[str, TestResult]:
    import torch

    from synaug.backends.devices import find_device
    from synaug.config.training import TrainingSettings
    from synaug.data.splits import split_pool
    from synaug.evaluation import accuracy

    settings = TrainingSettings.model_validate(_frozen(job)["settings"])
    classes = job.plan.classes
    device = find_device(job.config.compute.device)
    weights = job.store.get(layout.training(job.run, job.arm, job.seed, "model.safetensors"))
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
    started, before, phases, results = time.monotonic(), 0, {}, {}
    for name, test in wanted.items():
        began, seen = time.monotonic(), 0
        images = accuracy.batches(job.store, test.split, classes, settings, threads=job.config.compute.loader_threads)
        for totals in accuracy.count(model, images, len(classes), among=among[name], device=device):
            seen = min(seen + accuracy.BATCH, sizes[name])
            job.report(
                Progress(
                    "evaluate",
                    f"evaluate-{job.arm}-{job.seed}",
                    before + seen,
                    sum(sizes.values()),
                    "image",
                    {"test": name},
                )
            )
            counts = totals
        before += sizes[name]
        results[name] = _result(job, name, test, counts, sizes[name])
        phases[name] = round(time.monotonic() - began, 3)
    seconds = time.monotonic() - started
    timing = {"seconds": round(seconds, 3), "phases": phases, "images": before, "rate": round(before / seconds, 1)}
    job.store.put(layout.timing(job.run, "evaluate", f"{job.arm}-{job.seed}"), json.dumps(timing, indent=1).encode())
    return results


def _result(job: Job, name: str, test, counts, size: int) -> TestResult:
    n = int(counts.images.sum())
    if not n:
        raise DataError(
            f"test {name}: no image of split {test.split!r} is of a class of the run; its labels are matched by class id"
        )
    by_class = zip(job.plan.classes, counts.images.tolist(), counts.top1.tolist(), strict=True)
    held = [(entry.id, images, right) for entry, images, right in by_class if images]
    return TestResult(
        split=test.split,
        data=_digest(job, test.split),
        domain=test.domain,
        subset=test.subset,
        n=n,
        unknown=size - n,
        top1=int(counts.top1.sum()) / n,
        top5=int(counts.top5.sum()) / n,
        per_class={class_id: right / images for class_id, images, right in held},
        per_class_n={class_id: images for class_id, images, _ in held},
    )


def _write(job: Job, trained: str, tests: dict[str, TestResult]) -> None:
    frozen = _frozen(job)
    evaluation = Evaluation(
        arm=job.arm,
        seed=job.seed,
        kind=frozen["kind"],
        scale=frozen["scale"],
        model=frozen["settings"]["model"],
        trained=trained,
        tests={name: tests[name] for name in job.config.tests},
    )
    job.store.put(layout.evaluation(job.run, job.arm, job.seed), evaluation.model_dump_json(indent=1).encode())
