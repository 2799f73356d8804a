"""How far a run is: the one progress model, read from what lies in the store, behind status, the local runner and the report."""

import json
from dataclasses import dataclass, field

from synaug import layout
from synaug.config import Config
from synaug.config.load import parse_scale
from synaug.frozen import Plan
from synaug.job import Task
from synaug.store import Store

STAGES = ("prompts", "images", "index", "train", "evaluate", "report")
UNITS = {"prompts": "class", "images": "image", "index": "index", "train": "step", "evaluate": "evaluation", "report": "report"}


@dataclass(frozen=True)
class TaskState:
    """done and total in the stage's unit; seconds: of the task's own clock, where it has finished here."""

    task: Task
    done: int
    total: int
    rejected: int = 0
    lost: int = 0
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class StageState:
    stage: str
    unit: str
    tasks: list[TaskState] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(task.done for task in self.tasks)

    @property
    def total(self) -> int:
        return sum(task.total for task in self.tasks)

    @property
    def left(self) -> int:
        return self.total - self.done

    @property
    def rejected(self) -> int:
        return sum(task.rejected for task in self.tasks)

    @property
    def lost(self) -> int:
        return sum(task.lost for task in self.tasks)

    @property
    def seconds(self) -> float:
        """Seconds of work, over all workers."""
        return sum(task.seconds for task in self.tasks)

    @property
    def rate(self) -> float | None:
        """Units a second of one worker, over the tasks that were timed."""
        timed = [task for task in self.tasks if task.seconds and task.done]
        return sum(task.done for task in timed) / sum(task.seconds for task in timed) if timed else None

    def seconds_left(self, workers: int = 1) -> float | None:
        """None while no rate was measured."""
        if not self.left:
            return 0.0
        return self.left / self.rate / max(1, min(workers, sum(not t.finished for t in self.tasks))) if self.rate else None


@dataclass(frozen=True)
class State:
    run: str
    scale: int
    stages: dict[str, StageState]

    @property
    def finished(self) -> bool:
        return all(not stage.left for stage in self.stages.values())


def read_state(store: Store, run: str, config: Config, plan: Plan) -> State:
    """Lists the run's folders; reads no tar and no model."""
    scale = parse_scale(config.scale)
    timings = _timings(store, run)
    stages = {
        "prompts": _prompts(store, run, plan),
        "images": _images(store, run, config, plan, scale),
        "index": [_index(store, run, config, scale)],
        "train": _train(store, run, config),
        "evaluate": _evaluate(store, run, config),
    }
    stages["report"] = [_report(store, run, everything_done=all(t.finished for tasks in stages.values() for t in tasks))]
    return State(
        run=run,
        scale=scale,
        stages={
            stage: StageState(stage, UNITS[stage], [_timed(task, timings.get((stage, task.task.unit), {})) for task in stages[stage]])
            for stage in STAGES
        },
    )


def _timed(task: TaskState, timing: dict) -> TaskState:
    return TaskState(task.task, task.done, task.total, task.rejected, task.lost, float(timing.get("seconds", 0.0)))


def _timings(store: Store, run: str) -> dict[tuple[str, str], dict]:
    """Timing by (stage, unit): as each stage measured its own finished pass."""
    found = {}
    for stage in STAGES:
        prefix = layout.timing(run, stage, "").removesuffix(".json")
        for key in store.list(prefix):
            found[stage, key.removeprefix(prefix).removesuffix(".json")] = json.loads(store.get(key))
    return found


def _prompts(store: Store, run: str, plan: Plan) -> list[TaskState]:
    prefix = layout.prompts_folder(run)
    written = {key.removeprefix(prefix).removesuffix(".json") for key in store.list(prefix)}
    return [
        TaskState(Task(stage="prompts", shard=n), done=sum(c in written for c in classes), total=len(classes))
        for n, classes in enumerate(plan.class_shards)
    ]


def _images(store: Store, run: str, config: Config, plan: Plan, scale: int) -> list[TaskState]:
    published = {key for key in store.list(layout.synthetic_folder(run)) if key.endswith(".json")}
    tasks = []
    for shard in range(len(plan.class_shards)):
        parts = [part for multiple in range(1, scale + 1) for part in plan.parts(config, shard, multiple)]
        done = [part for part in parts if layout.synthetic_manifest(run, part.multiple, shard, part.number) in published]
        manifests = [json.loads(store.get(layout.synthetic_manifest(run, p.multiple, shard, p.number))) for p in done]
        tasks.append(
            TaskState(
                Task(stage="images", shard=shard),
                done=sum(len(part.images) for part in done),
                total=sum(len(part.images) for part in parts),
                rejected=sum(len(m.get("rejects", ())) for m in manifests),
                lost=sum(len(m.get("lost", ())) for m in manifests),
            )
        )
    return tasks


def _index(store: Store, run: str, config: Config, scale: int) -> TaskState:
    """The index stands for one scale and one filter; another asks for it again."""
    done = 0
    if store.exists(layout.index(run)):
        index = json.loads(store.get(layout.index(run)))
        done = int(index.get("scale") == scale and index.get("min_clip_score") == config.index.min_clip_score)
    return TaskState(Task(stage="index"), done, 1)


def _train(store: Store, run: str, config: Config) -> list[TaskState]:
    finished = {key for key in store.list(layout.run_folder(run) + "train/") if key.endswith("/done.json")}
    tasks = []
    for name, arm in config.arms.items():
        steps = int(arm.settings.get("steps", config.training.steps)) // (2 if arm.kind == "real-half" else 1)
        for seed in config.seeds:
            done = layout.training(run, name, seed, "done.json") in finished
            tasks.append(TaskState(Task(stage="train", arm=name, seed=seed), steps if done else 0, steps))
    return tasks


def _evaluate(store: Store, run: str, config: Config) -> list[TaskState]:
    written = set(store.list(layout.run_folder(run) + "evaluate/"))
    tasks = []
    for name in config.arms:
        for seed in config.seeds:
            key = layout.evaluation(run, name, seed)
            tests = json.loads(store.get(key))["tests"] if key in written else {}
            tasks.append(TaskState(Task(stage="evaluate", arm=name, seed=seed), int(key in written and set(config.tests) <= set(tests)), 1))
    return tasks


def _report(store: Store, run: str, *, everything_done: bool) -> TaskState:
    return TaskState(Task(stage="report"), int(everything_done and store.exists(layout.report(run))), 1)
