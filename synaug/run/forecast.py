"""The time and cost of what is left of a run: of its images, and of all its stages.

What nobody measured is None, never guessed.
"""

from dataclasses import dataclass
from itertools import zip_longest

from synaug.config import Config, arms
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.plan import Estimate, Forecast, ImagesEstimate, Plan
from synaug.run.rates import ImagesRate, Pace, Rates, known_rates, shape
from synaug.run.schedule import makespan
from synaug.run.stages import STAGES, Proof, Scope, Task, long_stages
from synaug.run.status import State, read_state


def estimate_images(config: Config, plan: Plan, rate: ImagesRate, published: set[str], run: str) -> ImagesEstimate:
    """Estimate what the images up to the plan's scale take. published: keys of the manifests in the store."""
    images = tars = 0
    left_of_shard = [0] * len(plan.class_shards)
    multiples = []
    for multiple in range(1, plan.scale + 1):
        for shard in range(len(plan.class_shards)):
            for part in plan.parts(config, shard, multiple):
                images, tars = images + len(part.images), tars + 1
                if layout.synthetic_manifest(run, multiple, shard, part.number) not in published:
                    left_of_shard[shard] += len(part.images)
                    if multiple not in multiples:
                        multiples.append(multiple)
    left, gpus, price, speed = sum(left_of_shard), config.compute.gpus, config.compute.price, rate.images_per_second
    hours = left / speed / 3600 if speed else None
    longest = max(left_of_shard) / speed / 3600 if speed else None
    return ImagesEstimate(
        scale=plan.scale,
        multiples=multiples,
        images=images,
        images_left=left,
        tars=tars,
        bytes=round(images * rate.bytes_per_image) if rate.bytes_per_image else None,
        rate=speed,
        rate_source=rate.source,
        gpus=gpus,
        gpu_hours=hours,
        wall_hours=max(hours / gpus, longest) if hours is not None and longest is not None else None,
        longest_shard_hours=longest,
        price=price,
        cost=hours * price if hours is not None and price is not None else None,
    )


def estimate(images: ImagesEstimate, whole: Forecast) -> Estimate:
    """Put together what plan.json holds."""
    return Estimate(**images.model_dump(), whole=whole)


def forecast(config: Config, plan: Plan, state: State, rates: Rates) -> Forecast:
    """Forecast what `state` leaves undone.

    A training that has begun counts whole: what it has done is in its checkpoint.
    """
    workers, price = max(rates.workers, config.compute.gpus), config.compute.price
    work = {stage: _work_left(stage, config, plan, state, rates) for stage in long_stages()}
    measured = {
        stage: [task.seconds for task in left.values() if task.seconds is not None] for stage, left in work.items()
    }
    unmeasured = [stage for stage, left in work.items() if len(measured[stage]) < len(left)]
    seconds = {stage: None if stage in unmeasured else float(sum(measured[stage])) for stage in work}
    if unmeasured:
        known = sum(sum(task_seconds) for task_seconds in measured.values())
        hours = wall = None
    else:
        cold = {stage: _cold(left, processes(stage, config, workers)) for stage, left in work.items()}
        warm = {stage: sum(measured[stage]) for stage in work}
        seconds = {stage: warm[stage] + sum(cold[stage]) for stage in work}
        known = sum(warm.values()) + sum(sum(more) for more in cold.values())
        hours, wall = known / 3600, _wall(config, plan, work, workers, cold, rates.start)
    return Forecast(
        seconds=seconds,
        workers=workers,
        wall_seconds=wall,
        gpu_hours=hours,
        price=price,
        cost=None if hours is None or price is None else hours * price,
        cost_at_least=None if price is None else price * known / 3600,
        unmeasured=unmeasured,
    )


def processes(stage: str, config: Config, devices: int) -> int:
    """Count the processes that a stage has on so many devices: a training, and its evaluation, may hold several."""
    several = config.compute.gpus_per_training if STAGES[stage].scope is Scope.TRAINING else 1
    return max(1, devices // several)


def read_forecast(store: Store, run: str, config: Config, plan: Plan) -> Forecast:
    """Forecast what is left of a planned run, by what its store holds."""
    return forecast(config, plan, read_state(store, run, config, plan), known_rates(store, run, config, plan))


def cost_limit_violation(
    limit: float | None, *, price: float | None, cost_at_least: float | None, unmeasured: list[str], measures: str
) -> str | None:
    """Say in one sentence why more than limits.cost may be spent; None: it is not.

    price, cost_at_least, unmeasured: as in Forecast. measures: the command that measures what is unmeasured.
    """
    if limit is None:
        return None
    if price is None or cost_at_least is None:
        return f"the cost is unknown, since compute.price is not given, and limits.cost is {limit:,.2f}"
    unknown = f" ({', '.join(unmeasured)}: unmeasured, {measures} measures)" if unmeasured else ""
    if cost_at_least > limit:
        at_least = "at least " if unknown else ""
        return f"the run would cost {at_least}{cost_at_least:,.2f}{unknown}, more than limits.cost {limit:,.2f}"
    return f"the cost is unknown{unknown}, and limits.cost is {limit:,.2f}" if unknown else None


@dataclass(frozen=True)
class TaskWork:
    """What is left of one task; pace None: unmeasured."""

    units: int
    pace: Pace | None

    @property
    def seconds(self) -> float | None:
        return self.pace.seconds(self.units) if self.pace else None


def _work_left(stage: str, config: Config, plan: Plan, state: State, rates: Rates) -> dict[Task, TaskWork]:
    work = {}
    for task, units in state.units_left(stage).items():
        arm = arms.resolve_arm(config, task.arm) if task.arm is not None else None
        work[task] = TaskWork(units, rates.pace(stage, shape(config, plan, arm, plan.pool) if arm else ""))
    return work


def _cold(work: dict[Task, TaskWork], workers: int) -> list[float]:
    """What the first task of each process takes more."""
    longest = max((task.pace.cold for task in work.values() if task.pace), default=0.0)
    return [longest] * min(workers, len(work))


def _wall(
    config: Config,
    plan: Plan,
    work: dict[str, dict[Task, TaskWork]],
    workers: int,
    cold: dict[str, list[float]],
    start: float,
) -> float:
    """As the local executor does it: a group after another, each chain on the first process that is free.

    A training over n GPUs is taken to be n times as fast as on the one where its pace was measured: at least this long.
    """
    seconds = {
        task: (left.seconds or 0.0) / (config.compute.gpus_per_training if STAGES[stage].proof is Proof.TRAINING else 1)
        for stage, of_stage in work.items()
        for task, left in of_stage.items()
    }
    groups: list[tuple[list[float], int]] = []
    for group in plan.flow(config):
        chains = [chain for tasks in group if (chain := sum(seconds.get(task, 0.0) for task in tasks))]
        more = [cold.get(task.stage, []) for task in group[0]] if group else []
        first = [sum(each) for each in zip_longest(*more, fillvalue=0.0)]
        chains = [chain + (first[n] if n < len(first) else 0.0) for n, chain in enumerate(chains)]
        groups.append((chains, processes(group[0][0].stage, config, workers) if group else 1))
    wall = start if any(chains for chains, _ in groups) else 0.0
    return wall + sum(makespan(chains, devices) for chains, devices in groups)
