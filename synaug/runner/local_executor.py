"""The whole run on this machine. Executors schedule, stages work: no stage logic here (docs/design.md)."""

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from synaug.backends.weights import fetch_weights
from synaug.config import Config
from synaug.data import layout
from synaug.data.store import open_store
from synaug.run.job import Progress, open_job, open_run
from synaug.run.plan import Plan
from synaug.run.stages import STAGES, Task
from synaug.run.status import State, read_state
from synaug.runner.display import Display
from synaug.runner.execute import StageCall, execute_in_worker
from synaug.runner.worker_pool import Workers


class StageClock:
    """Seconds of the wall clock that each stage was under way; side by side, stages count the same second each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.active: dict[str, int] = {}
        self.since: dict[str, float] = {}

    def begin(self, stage: str) -> None:
        if not self.active.get(stage):
            self.since[stage] = time.monotonic()
        self.active[stage] = self.active.get(stage, 0) + 1

    def end(self, stage: str) -> None:
        self.active[stage] -= 1
        if not self.active[stage]:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - self.since[stage]


@dataclass(frozen=True)
class Failure:
    """A task that failed: its exit code and its one line."""

    task: Task
    code: int
    line: str


@dataclass
class RunOutcome:
    """What a local run did; failures in the order that they happened."""

    state: State
    clock: StageClock = field(default_factory=StageClock)
    failures: list[Failure] = field(default_factory=list)


def run_locally(
    store_url: str, run: str, *, overrides: list[str], display: Display, preload: str = "synaug.runner.worker_imports"
) -> RunOutcome:
    """Do what is left of a planned run.

    A failed task ends its chain and the groups after; the others of its group finish. preload: the module that the
    workers are forked with.
    """
    store = open_store(store_url)
    config, plan = open_run(store, run)
    outcome = RunOutcome(read_state(store, run, config, plan))
    finished = {t.task for stage in outcome.state.stages.values() for t in stage.tasks if t.finished}
    groups = [
        [left for chain in group if (left := [t for t in chain if t not in finished])] for group in plan.flow(config)
    ]
    if not any(groups):
        return outcome
    store.delete(
        layout.report(run)
    )  # of less than is planned; a kill before the new one must not leave it as the last word
    fetch_models(config, plan, {task.stage for group in groups for chain in group for task in chain}, display.fetching)
    display.start(outcome.state)
    execution = open_job(store_url, run, overrides=overrides).config
    workers = Workers(worker_count(execution), threads=config.threads, preload=[preload])

    def call(task: Task) -> StageCall:
        return StageCall(task, store_url, run, overrides)

    try:
        for group in groups:
            _run_group(workers, group, call, outcome, display)
            if outcome.failures:
                break
    finally:
        workers.close()
        display.stop()
    outcome.state = read_state(store, run, config, plan)
    return outcome


def fetch_models(config: Config, plan: Plan, stages: Collection[str], report: Callable[[Progress], None]) -> None:
    """Download what the stages will load, once, before several workers would each begin to.

    Raises DataError for a disk that is too small, ModelError, TransientError.
    """
    roles = {role for stage in stages for role in STAGES[stage].models}
    for model in plan.models:
        if model.role in roles:
            fetch_weights(config, model, report)


def _run_group(
    workers: Workers,
    chains: list[list[Task]],
    call: Callable[[Task], StageCall],
    outcome: RunOutcome,
    display: Display,
) -> None:
    waiting = [list(chain) for chain in chains]
    active: dict[Task, list[Task]] = {}
    while waiting or active:
        while waiting and workers.free:
            chain = waiting.pop(0)
            task = chain.pop(0)
            active[task] = chain
            outcome.clock.begin(task.stage)
            workers.submit(task, execute_in_worker, call(task))
            display.began(task)
        for task, kind, value in workers.events():
            if kind == "report":
                display.progressed(task, value)
                continue
            chain = active.pop(task)
            outcome.clock.end(task.stage)
            if kind == "failed":
                failure = Failure(task, *value)
                outcome.failures.append(failure)
                display.failed(task, failure.code)
                continue
            display.ended(task)
            if chain:
                waiting.insert(0, chain)


def worker_count(config: Config) -> int:
    """Count the worker processes: as configured, else one on a GPU, which stages share badly, or one per core.

    Each has `threads` threads.
    """
    if config.compute.workers:
        return config.compute.workers
    if config.compute.device.startswith("cuda"):
        return 1
    if config.compute.device == "auto" and os.path.exists("/dev/nvidiactl"):
        return 1
    return max(1, len(os.sched_getaffinity(0)) // config.threads)
