"""How far a run is, read from what is in the store: the one progress model of status, local runner and report."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from synaug.config import Config
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.completion import Completion
from synaug.run.plan import Plan, trainings
from synaug.run.rates import known_images_rate
from synaug.run.stages import STAGES, Proof, Stage, Task, tasks
from synaug.run.tokens import TokenCount, describe_tokens, spent_tokens

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
    """How far one stage is.

    rejected: attempts thrown away; lost: images given up; seconds: of work, over all workers; rate: units a second of
    one worker.
    """

    stage: str
    tasks: list[TaskState]
    seconds: float = 0.0
    rate: float | None = None
    rejected: int = 0
    lost: int = 0

    @property
    def unit(self) -> str:
        return STAGES[self.stage].unit

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
        """Estimate the seconds that `workers` need for what is left; None while no rate was measured."""
        if not self.left:
            return 0.0
        busy = max(1, min(workers, sum(not task.finished for task in self.tasks)))
        return self.left / self.rate / busy if self.rate else None


@dataclass(frozen=True)
class State:
    """How far a run is, by stage. tokens: that its LLM's endpoint counted; llm: the same with cost, for people."""

    run: str
    scale: int
    stages: dict[str, StageState] = field(default_factory=dict)
    tokens: TokenCount | None = None
    llm: str = ""

    @property
    def finished(self) -> bool:
        return not any(stage.left for stage in self.stages.values())

    def units_left(self, stage: str) -> dict[Task, int]:
        """Count the units left of each task with work left.

        A task that is renewed by one with work left counts whole, though it is done: a training to be done is to be
        evaluated again.
        """
        states = self.stages[stage].tasks
        left = {state.task: state.total - state.done for state in states if not state.finished}
        if renewer := STAGES[stage].renewed_by:
            renewed = {task.unit for task in self.units_left(renewer)}
            left |= {state.task: state.total for state in states if state.task.unit in renewed}
        return left


def read_state(store: Store, run: str, config: Config, plan: Plan) -> State:
    """Read how far a run is.

    Lists the run's folders, reads its timing and the manifests that no index sums up; reads no tar.
    """
    completion = Completion(store, run, config, plan)
    states: dict[str, StageState] = {}
    for stage in STAGES.values():
        counted = [
            TaskState(task, count.done, count.total)
            for task in tasks(stage, len(plan.class_shards), trainings(config))
            for count in [completion.count(task)]
        ]
        if stage.proof is Proof.REPORT and any(before.left for before in states.values()):
            counted = [TaskState(state.task, 0, state.total) for state in counted]  # it is of less than is planned
        states[stage.name] = _stage_state(completion, stage, counted)
    if not config.prompts.llm.endpoint:
        return State(run, plan.scale, states)
    tokens = spent_tokens(store, run).tokens
    return State(run, plan.scale, states, tokens, f"LLM: {describe_tokens(tokens, config)}")


def _stage_state(completion: Completion, stage: Stage, counted: list[TaskState]) -> StageState:
    timings = _timings(completion.store, completion.run, stage.name)
    seconds, rate = sum(timing.get("seconds", 0.0) for timing in timings), _rate(stage, timings)
    if stage.proof is not Proof.MANIFESTS:
        return StageState(stage=stage.name, tasks=counted, seconds=seconds, rate=rate)
    known = known_images_rate(completion.store, completion.run, completion.config, completion.plan)
    rejected, lost = _rejects(completion)
    return StageState(
        stage=stage.name,
        tasks=counted,
        seconds=seconds,
        rate=rate or known.images_per_second,
        rejected=rejected,
        lost=lost,
    )


def _rejects(completion: Completion) -> tuple[int, int]:
    """Rejected attempts and lost images, of the index and of the manifests that it does not hold."""
    index = completion.index
    rest = sorted(completion.manifests - {part["manifest"] for part in index.get("parts", ())})
    with ThreadPoolExecutor(READERS) as readers:
        manifests = [json.loads(data) for data in readers.map(completion.store.get, rest)]
    rejected = sum(index.get("rejects", {}).values()) + sum(len(manifest["rejects"]) for manifest in manifests)
    return rejected, len(index.get("lost", ())) + sum(len(manifest["lost"]) for manifest in manifests)


def _timings(store: Store, run: str, stage: str) -> list[dict]:
    """As each task measured its own last pass."""
    return [json.loads(store.get(key)) for key in store.list(layout.timing(run, stage, "").removesuffix(".json"))]


def _rate(stage: Stage, timings: list[dict]) -> float | None:
    timed = [timing for timing in timings if timing.get("seconds")]
    units = sum(timing.get(stage.counted, 1) if stage.counted else 1 for timing in timed)
    return units / sum(timing["seconds"] for timing in timed) if timed else None
