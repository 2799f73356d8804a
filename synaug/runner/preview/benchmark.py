"""What `synaug preview` measures and writes to timing/preview/, with as many processes at once as the run will have."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

from synaug.backends.memory import name_what_to_lower, release_models
from synaug.config import arms
from synaug.data import layout
from synaug.errors import is_out_of_memory
from synaug.prompts.schema import ClassPrompts
from synaug.run.job import Job, Progress, open_job
from synaug.run.plan import active_arms
from synaug.run.progress import LineReporter
from synaug.run.rates import Pace, prompts_digest, shape
from synaug.run.stages import STAGES
from synaug.run.tokens import TokensOfClasses
from synaug.runner.log_tail import beat_on_report
from synaug.runner.preview.images import make_images
from synaug.runner.preview.overlay_store import Overlay
from synaug.runner.preview.training import ArmPaces, time_arm
from synaug.runner.worker_pool import WorkerCrew
from synaug.stages import prompts


@dataclass(frozen=True)
class ShardTask:
    """The share of a process of a preview's classes and images, as it is sent there."""

    store_url: str
    run: str
    overrides: list[str]
    class_shards: list[list[str]]
    shard: int
    images: int


@dataclass(frozen=True)
class ShardResult:
    """What a process measured, and the prompts files of its classes. prompts_timing: None where it made none."""

    timing: dict[str, Any]
    prompts_timing: dict[str, Any] | None
    prompts: list[ClassPrompts]


@dataclass(frozen=True)
class ArmTask:
    """An arm to be timed, as it is sent to a process."""

    store_url: str
    run: str
    overrides: list[str]
    arm: str


class PreviewBenchmark:
    """Of one run, in the processes of a crew."""

    def __init__(self, job: Job, overrides: list[str], crew: WorkerCrew):
        self.job, self.overrides, self.pool = job, overrides, job.config.compute.pool or job.plan.pool
        self.crew, self.count = crew, crew.count
        self.report = beat_on_report(LineReporter(every=5))

    def distribute(self, classes: list[str], images: int) -> list[ShardTask]:
        """Distribute classes and images over processes: no more than the run has shards, or the preview classes."""
        busy = max(1, min(self.count, len(self.job.plan.class_shards), len(classes), images))
        shards = [classes[n::busy] for n in range(busy)]
        url, run = self.job.store.url, self.job.run
        return [ShardTask(url, run, self.overrides, shards, n, len(range(n, images, busy))) for n in range(busy)]

    def measure_images(self, tasks: list[ShardTask]) -> tuple[dict[str, Any], list[ClassPrompts]]:
        """Make prompts and images of every shard; writes their timing and returns it, with the prompts files."""
        results: list[ShardResult] = self.crew.map(measure_shard, tasks, self.report)
        timings = [result.timing for result in results]
        whole = timings[0] | {
            name: round(mean(timing[name] for timing in timings), 3)
            for name in ("rate", "seconds", "load_seconds", "warm_up_seconds")
        }  # of one process
        whole |= {name: sum(timing[name] for timing in timings) for name in ("images", "rejected")}
        whole["bytes_per_image"] = round(mean(timing["bytes_per_image"] for timing in timings))
        self.put("rate", whole)
        device = "cpu" if whole["device"].startswith("CPU") else "cuda"
        self.put(
            "machine",
            {
                "device": device,
                "name": whole["device"],
                "workers": self.count,
                "shards": len(tasks),
                "start": round(self.crew.start, 3),
                "images_load": whole["load_seconds"],
            },
        )
        timings = [result.prompts_timing for result in results if result.prompts_timing]
        if timings:  # none where the run has its prompts files already
            load = mean(timing["phases"]["load"] for timing in timings)
            classes = sum(timing["classes"] for timing in timings)
            each = sum(timing["seconds"] - timing["phases"]["load"] for timing in timings) / classes
            of = prompts_digest(self.job.config, self.job.plan, self.pool)
            tokens = sum((TokensOfClasses.read(timing) for timing in timings), TokensOfClasses()).record()
            self.put("prompts", {"of": of, "pace": asdict(Pace(load, each)), "classes": classes} | tokens)
        files = {file.class_id: file for result in results for file in result.prompts}
        return whole, [files[class_id] for class_id in self.job.plan.real_counts if class_id in files]

    def measure_trainings(self) -> Iterator[str]:
        """Time each different shape of arm; yields a line of each as it is measured, and writes all at the end."""
        config, plan = self.job.config, self.job.plan
        names = active_arms(config)
        shapes: dict[str, str] = {}
        for name in names:
            shapes.setdefault(shape(config, plan, arms.resolve_arm(config, name), self.pool), name)
        measured: dict[str, dict[str, Any]] = {}
        busy = min(self.count, len(names) * len(config.seeds))
        for digest, name in shapes.items():
            task = ArmTask(self.job.store.url, self.job.run, self.overrides, name)
            results: list[ArmPaces | None] = self.crew.map(measure_arm, [task] * busy, self.report)
            paces = [result for result in results if result]
            if len(paces) < busy:
                yield f"{name}: unmeasured, its batch of images is too large for one device"
                continue
            train = _mean([each.train for each in paces])
            evaluations = [each.evaluate for each in paces if each.evaluate]
            evaluate = _mean(evaluations) if len(evaluations) == busy else None
            measured[digest] = {"arm": name, "train": asdict(train), "evaluate": evaluate and asdict(evaluate)}
            evaluated = "evaluation unmeasured: a test set is not imported"
            if evaluate:
                evaluated = f"{evaluate.each:.3g} s an evaluation"
            yield f"{name}: {1 / train.each:.3g} steps/s, {evaluated}, {busy} side by side"
        self.put("train", measured)

    def put(self, name: str, value: dict[str, Any]) -> None:
        """Write one of the files that plan reads its rates from."""
        self.job.store.put(layout.timing(self.job.run, "preview", name), (json.dumps(value, indent=1) + "\n").encode())


def _mean(paces: list[Pace]) -> Pace:
    return Pace(*(mean(getattr(pace, name) for pace in paces) for name in ("load", "each", "cold")))


def measure_shard(task: ShardTask, report: Callable[[Progress], None]) -> ShardResult:
    """Make the prompts and images of one process of a preview, over an `Overlay` of the store."""
    job = open_job(task.store_url, task.run, overrides=task.overrides, report=report)
    plan = job.plan.model_copy(update={"class_shards": task.class_shards})
    job = replace(job, store=Overlay(job.store, task.run), plan=plan, shard=task.shard)
    release_models(keep=STAGES["prompts"].models)
    with name_what_to_lower("prompts", STAGES["prompts"].needs_less):
        prompts.run(job)
    timing = layout.timing(task.run, "prompts", f"{task.shard:03d}")
    key = layout.preview(task.run, timing.removeprefix(layout.run_folder(task.run)))
    prompts_timing = json.loads(job.store.get(key)) if job.store.exists(key) else None
    release_models(keep=STAGES["images"].models)
    with name_what_to_lower("images", STAGES["images"].needs_less):
        previewed = make_images(job, task.shard, task.images)
    return ShardResult(previewed.timing, prompts_timing, previewed.prompts)


def measure_arm(task: ArmTask, report: Callable[[Progress], None]) -> ArmPaces | None:
    """Time an arm in this process.

    None where its whole batch, which a training may spread over several devices, is too large for this one.
    """
    job = open_job(task.store_url, task.run, overrides=task.overrides, report=report)
    release_models()
    try:
        return time_arm(job, arms.resolve_arm(job.config, task.arm))
    except RuntimeError as error:  # torch's out of memory is one
        if not is_out_of_memory(error):
            raise
        return None
