"""The time and cost of all that is left of a run: prompts, images, trainings, evaluations. What nobody measured is None, never guessed."""

import heapq
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from synaug.config import Config, arms
from synaug.data.store import Store
from synaug.run.flow import flow
from synaug.run.job import Task
from synaug.run.plan import Plan
from synaug.run.rates import Pace, Rates, known_rates, shape
from synaug.run.status import State, read_state

STAGES = ("prompts", "images", "train", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """seconds: of work by stage, all processes together. wall_seconds: of the whole run, `workers` processes side by side.

    None: a stage with work left is unmeasured. index and report are in none of them: they take seconds.
    """

    seconds: dict[str, float | None]
    wall_seconds: float | None
    workers: int
    gpu_hours: float | None
    price: float | None
    cost: float | None
    cost_at_least: float | None  # of what is measured: the cost, where all is
    unmeasured: list[str]  # stages with work left and no rate

    def as_dict(self) -> dict:
        return asdict(self)


def forecast(config: Config, plan: Plan, state: State, rates: Rates) -> Forecast:
    """Of what `state` leaves undone. A training that has begun counts whole: what it has done lies in its checkpoint."""
    workers = max(rates.workers, config.compute.gpus)
    pace = {stage: _paces(stage, config, plan, rates) for stage in STAGES}
    work = {stage: _seconds(state, stage, pace[stage]) for stage in STAGES}
    seconds = {stage: _sum(work[stage].values()) for stage in STAGES}
    for_all = _sum(seconds.values())
    cold = _cold(config, plan, work["evaluate"], rates, workers)
    if for_all is not None:
        seconds["evaluate"] += sum(cold)
        for_all += sum(cold)
    hours = None if for_all is None else for_all / 3600
    known = for_all if for_all is not None else sum(one for stage in STAGES for one in work[stage].values() if one)
    price = config.compute.price
    return Forecast(
        seconds=seconds,
        workers=workers,
        wall_seconds=None if for_all is None else _wall(config, plan, work, workers, cold, rates),
        gpu_hours=hours,
        price=price,
        cost=None if hours is None or price is None else hours * price,
        cost_at_least=None if price is None else price * known / 3600,
        unmeasured=[stage for stage in STAGES if seconds[stage] is None],
    )


def read_forecast(store: Store, run: str, config: Config, plan: Plan) -> Forecast:
    """Of a planned run, as far as its store tells."""
    return forecast(config, plan, read_state(store, run, config, plan), known_rates(store, run, config, plan))


def _paces(stage: str, config: Config, plan: Plan, rates: Rates):
    """Task to Pace, or None."""
    if stage in ("prompts", "images"):
        return lambda task: getattr(rates, stage)
    shapes = {name: shape(config, plan, arms.resolve_arm(config, name), plan.pool) for name in config.arms}
    return lambda task: getattr(rates, stage).get(shapes[task.arm])


def _seconds(state: State, stage: str, pace) -> dict[Task, float | None]:
    """Of each task with work left."""
    left = {one.task: one.total - one.done for one in state.stages[stage].tasks if not one.finished}
    if stage == "evaluate":  # a training to be done is to be evaluated anew
        again = {(one.task.arm, one.task.seed) for one in state.stages["train"].tasks if not one.finished}
        left |= {one.task: 1 for one in state.stages[stage].tasks if (one.task.arm, one.task.seed) in again}
    return {task: None if (known := pace(task)) is None else known.seconds(units) for task, units in left.items()}


def _cold(config: Config, plan: Plan, left: dict[Task, float | None], rates: Rates, workers: int) -> list[float]:
    """What the first evaluation of each process takes more."""
    paces: Iterable[Pace | None] = map(_paces("evaluate", config, plan, rates), left)
    return [max((pace.cold for pace in paces if pace), default=0.0)] * min(workers, len(left))


def _wall(
    config: Config, plan: Plan, work: dict[str, dict[Task, float]], workers: int, cold: list[float], rates: Rates
) -> float:
    """As synaug/runner/local_executor.py does it: a group after another, each chain on the first process that is free."""
    seconds = {task: value for stage in work.values() for task, value in stage.items()}
    making, _, training, _ = [
        [sum(seconds.get(task, 0.0) for task in chain) for chain in group] for group in flow(config, plan)
    ]
    making, training = ([chain for chain in chains if chain] for chains in (making, training))
    training = [chain + (cold[n] if n < len(cold) else 0.0) for n, chain in enumerate(training)]
    begun = rates.start if making or training else 0.0
    return begun + makespan(making, workers) + makespan(training, workers)


def makespan(chains: list[float], workers: int) -> float:
    """Seconds until the last of `chains` is done, each in turn taken by the first of `workers` that is free."""
    ends = [0.0] * workers
    for length in chains:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _sum(values: Iterable[float | None]) -> float | None:
    values = list(values)
    return None if None in values else sum(values)
