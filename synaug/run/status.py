"""How far a run is: the one progress model, read from what lies in the store, behind status, the local runner and the report."""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from synaug.config import Config, arms
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.estimate import known_rate
from synaug.run.job import Task
from synaug.run.plan import Plan

UNITS = {
    "prompts": "class",
    "images": "image",
    "index": "index",
    "train": "step",
    "evaluate": "evaluation",
    "report": "report",
}
STAGES = tuple(UNITS)
COUNTED = {
    "prompts": "classes",
    "images": "images",
    "train": "steps",
}  # where a timing says how many units its seconds made
READERS = 16


@dataclass(frozen=True)
class TaskState:
    """done and total in the stage's unit."""

    task: Task
    done: int
    total: int

    @property
    def finished(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True, kw_only=True)
class StageState:
    """rejected: attempts thrown away; lost: images given up; seconds: of work, over all workers; rate: units a second of one worker."""

    stage: str
    tasks: list[TaskState]
    seconds: float = 0.0
    rate: float | None = None
    rejected: int = 0
    lost: int = 0

    @property
    def unit(self) -> str:
        return UNITS[self.stage]

    @property
    def done(self) -> int:
        return sum(task.done for task in self.tasks)

    @property
    def total(self) -> int:
        return sum(task.total for task in self.tasks)

    @property
    def left(self) -> int:
        return self.total - self.done

    def seconds_left(self, workers: int = 1) -> float | None:
        """None while no rate was measured."""
        if not self.left:
            return 0.0
        busy = max(1, min(workers, sum(not task.finished for task in self.tasks)))
        return self.left / self.rate / busy if self.rate else None


@dataclass(frozen=True)
class State:
    run: str
    scale: int
    stages: dict[str, StageState] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return not any(stage.left for stage in self.stages.values())


def active_arms(config: Config) -> list[str]:
    """Arms that the run's scale reaches; the others wait until it grows."""
    return [name for name, arm in config.arms.items() if arm.multiple is None or arm.multiple <= config.multiple]


def read_state(store: Store, run: str, config: Config, plan: Plan) -> State:
    """Lists the run's folders, reads its timing and the manifests that no index sums up; reads no tar."""
    scale = config.multiple
    index = json.loads(store.get(layout.index(run))) if store.exists(layout.index(run)) else {}
    manifests = {key for key in store.list(layout.synthetic_folder(run)) if key.endswith(".json")}
    tasks = {
        "prompts": _prompts(store, run, plan),
        "images": _images(run, config, plan, scale, manifests),
        "index": [TaskState(Task(stage="index"), int(_index_stands(run, index, config, plan, scale)), 1)],
        "train": _train(store, run, config),
        "evaluate": _evaluate(store, run, config),
    }
    everything = all(task.finished for stage in tasks.values() for task in stage)
    tasks["report"] = [TaskState(Task(stage="report"), int(everything and store.exists(layout.report(run))), 1)]
    rejected, lost = _rejects(store, index, manifests)
    timings, forecast = {stage: _timings(store, run, stage) for stage in STAGES}, known_rate(store, run, config, plan)
    return State(
        run,
        scale,
        {
            stage: StageState(
                stage=stage,
                tasks=tasks[stage],
                seconds=sum(timing.get("seconds", 0.0) for timing in timings[stage]),
                rate=_rate(stage, timings[stage]) or (forecast.images_per_second if stage == "images" else None),
                rejected=rejected if stage == "images" else 0,
                lost=lost if stage == "images" else 0,
            )
            for stage in STAGES
        },
    )


def _prompts(store: Store, run: str, plan: Plan) -> list[TaskState]:
    prefix = layout.prompts_folder(run)
    written = {key.removeprefix(prefix).removesuffix(".json") for key in store.list(prefix)}
    return [
        TaskState(Task(stage="prompts", shard=n), sum(c in written for c in ids), len(ids))
        for n, ids in enumerate(plan.class_shards)
    ]


def _images(run: str, config: Config, plan: Plan, scale: int, manifests: set[str]) -> list[TaskState]:
    tasks = []
    for shard in range(len(plan.class_shards)):
        parts = [part for multiple in range(1, scale + 1) for part in plan.parts(config, shard, multiple)]
        done = [
            part for part in parts if layout.synthetic_manifest(run, part.multiple, shard, part.number) in manifests
        ]
        tasks.append(TaskState(Task(stage="images", shard=shard), _size(done), _size(parts)))
    return tasks


def _size(parts: Iterable) -> int:
    return sum(len(part.images) for part in parts)


def _index_stands(run: str, index: dict, config: Config, plan: Plan, scale: int) -> bool:
    """An index is of one plan, scale and filter, and lists every part; else it is made again."""
    if (index.get("digest"), index.get("scale"), index.get("min_clip_score")) != (
        plan.digest,
        scale,
        config.index.min_clip_score,
    ):
        return False
    listed = {part["manifest"] for part in index["parts"]}
    return all(
        layout.synthetic_manifest(run, part.multiple, part.shard, part.number) in listed
        for shard in range(len(plan.class_shards))
        for multiple in range(1, scale + 1)
        for part in plan.parts(config, shard, multiple)
    )


def _train(store: Store, run: str, config: Config) -> list[TaskState]:
    finished = {key for key in store.list(layout.run_folder(run) + "train/") if key.endswith("/done.json")}
    tasks = []
    for name in active_arms(config):
        recipe = arms.resolve_arm(config, name)
        steps, frozen = recipe.steps, recipe.frozen()
        for seed in config.seeds:
            key = layout.training(run, name, seed, "done.json")
            # with other settings it is not this arm's: the train stage then refuses it, with the difference
            done = key in finished and not arms.changes(json.loads(store.get(key)), frozen)
            tasks.append(TaskState(Task(stage="train", arm=name, seed=seed), steps if done else 0, steps))
    return tasks


def _evaluate(store: Store, run: str, config: Config) -> list[TaskState]:
    """Done: every test as it is asked for now, of the training that lies there now."""
    written = set(store.list(layout.run_folder(run) + "evaluate/"))
    tasks = []
    for name in active_arms(config):
        for seed in config.seeds:
            key = layout.evaluation(run, name, seed)
            trained = _digest(store, layout.training(run, name, seed, "done.json"))
            done = key in written and _measured(json.loads(store.get(key)), config, trained)
            tasks.append(TaskState(Task(stage="evaluate", arm=name, seed=seed), int(done), 1))
    return tasks


def _digest(store: Store, key: str) -> str | None:
    return hashlib.sha256(store.get(key)).hexdigest() if store.exists(key) else None


def _measured(evaluation: dict, config: Config, trained: str | None) -> bool:
    tests = evaluation["tests"]
    return evaluation["trained"] == trained and all(
        _is_of(tests.get(name), test) for name, test in config.tests.items()
    )


def _is_of(result: dict | None, test) -> bool:
    return result is not None and (result["split"], result["subset"], result["domain"]) == (
        test.split,
        test.subset,
        test.domain,
    )


def _rejects(store: Store, index: dict, manifests: set[str]) -> tuple[int, int]:
    """Rejected attempts and lost images, of the index and of the manifests that it does not hold."""
    rest = sorted(manifests - {part["manifest"] for part in index.get("parts", ())})
    with ThreadPoolExecutor(READERS) as readers:
        read = [json.loads(data) for data in readers.map(store.get, rest)]
    rejected = sum(index.get("rejects", {}).values()) + sum(len(manifest["rejects"]) for manifest in read)
    return rejected, len(index.get("lost", ())) + sum(len(manifest["lost"]) for manifest in read)


def _timings(store: Store, run: str, stage: str) -> list[dict]:
    """As each task measured its own last pass."""
    return [json.loads(store.get(key)) for key in store.list(layout.timing(run, stage, "").removesuffix(".json"))]


def _rate(stage: str, timings: list[dict]) -> float | None:
    timed = [(timing.get(COUNTED.get(stage, ""), 1), timing["seconds"]) for timing in timings if timing.get("seconds")]
    return sum(units for units, _ in timed) / sum(seconds for _, seconds in timed) if timed else None
