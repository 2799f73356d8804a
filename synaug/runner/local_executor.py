"""The whole run on this machine. Executors schedule, stages work: no stage logic here (docs/design.md)."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from synaug.backends.devices import LocalDevices, choose_local_devices
from synaug.backends.weights import fetch_weights
from synaug.config import Config
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import GPU_FAILED, TransientError
from synaug.run.job import Progress, open_job, open_run
from synaug.run.plan import Plan
from synaug.run.stages import STAGES, Scope, Task
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
    lost_gpus: dict[str, str] = field(default_factory=dict)  # GPUs that failed and were left out: why


def run_locally(
    store_url: str,
    run: str,
    *,
    overrides: list[str],
    display: Display,
    preload: str = "synaug.runner.worker_imports",
    devices: LocalDevices | None = None,
) -> RunOutcome:
    """Do what is left of a planned run.

    A failed task ends its chain and the groups after; the others of its group finish. A GPU that fails is left out and
    its task begun again on another. preload: the module that the workers are forked with. devices: None: as configured.
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
    execution = open_job(store_url, run, overrides=overrides).config
    devices = devices or choose_local_devices(execution.compute, config.threads)
    devices.grouped(execution.compute.gpus_per_training)  # refuses now what would be refused after the images
    store.delete(
        layout.report(run)
    )  # of less than is planned; a kill before the new one must not leave it as the last word
    fetch_models(config, plan, {task.stage for group in groups for chain in group for task in chain}, display.fetching)
    display.start(outcome.state, gpus=len(devices.gpus))
    own = [*overrides, f"compute.device={devices.device}"] if devices.device else overrides
    workers: Workers | None = None
    shared = devices
    try:
        for group in groups:
            if not group:
                continue
            wanted = devices.without(outcome.lost_gpus)
            if STAGES[group[0][0].stage].scope is Scope.TRAINING:
                wanted = _grouped(wanted, execution.compute.gpus_per_training, outcome.lost_gpus)
            if workers is None or wanted != shared:
                if workers is not None:
                    workers.close()
                workers = Workers(wanted.workers, threads=config.threads, preload=[preload], gpus=wanted.gpus or None)
                shared = wanted
            ranks = execution.compute.gpus_per_training if wanted.gpus else 1

            def call(task: Task, ranks: int = ranks) -> StageCall:
                return StageCall(task, store_url, run, own, ranks)

            _run_group(workers, group, call, outcome, display)
            if outcome.failures:
                break
    finally:
        if workers is not None:
            workers.close()
        display.stop()
    outcome.state = read_state(store, run, config, plan)
    return outcome


def _grouped(devices: LocalDevices, each: int, lost: Collection[str]) -> LocalDevices:
    """Give each training its GPUs. Raises TransientError where a GPU that failed leaves too few."""
    if lost and each > len(devices.gpus):
        raise TransientError(
            f"{GPU_FAILED}: {', '.join(lost)}; of the run's GPUs {len(devices.gpus)} are left, fewer than "
            f"compute.gpus_per_training={each}; lower it, or run again once the GPU was reset"
        )
    return devices.grouped(each)


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
            if kind == "failed" and GPU_FAILED in value[1] and (gpus := workers.gpus_of(task)) is not None:
                workers.retire(gpus)
                outcome.lost_gpus[gpus] = value[1]
                display.lost(gpus, value[1])
                if workers.free or workers.busy:
                    waiting.insert(0, [task, *chain])
                    continue
            if kind == "failed":
                failure = Failure(task, *value)
                outcome.failures.append(failure)
                display.failed(task, failure.code)
                if not workers.free and not workers.busy:  # every GPU failed
                    return
                continue
            display.ended(task)
            if chain:
                waiting.insert(0, chain)
