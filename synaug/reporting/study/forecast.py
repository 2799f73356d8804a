"""The time of a study before it is spent: what one run's preview measured holds for every run with the same settings."""

from synaug.data.store import Store
from synaug.run.forecast import forecast
from synaug.run.job import open_run
from synaug.run.plan import Forecast
from synaug.run.progress import duration
from synaug.run.rates import Rates, known_rates
from synaug.run.status import read_state


def forecasts(store: Store, runs: list[str]) -> dict[str, Forecast]:
    """Of planned runs: what is left of each."""
    return {run: forecast_of(store, run, runs) for run in runs}


def forecast_of(store: Store, run: str, runs: list[str]) -> Forecast:
    """Of one of the planned runs, by what was measured of any."""
    config, plan = open_run(store, run)
    own = sorted(runs, key=lambda other: other != run)  # its own preview first
    rates = together([known_rates(store, other, config, plan) for other in own])
    return forecast(config, plan, read_state(store, run, config, plan), rates)


def together(several: list[Rates]) -> Rates:
    """The first that is known of each; trainings are known by their shape, so all count."""
    measured = [rates for rates in several if rates.start] or several
    return Rates(
        workers=measured[0].workers,
        start=measured[0].start,
        paces={
            stage: {shape: pace for rates in reversed(several) for shape, pace in rates.paces.get(stage, {}).items()}
            for stage in {stage: None for rates in several for stage in rates.paces}
        },
    )


def lines(found: dict[str, Forecast]) -> list[str]:
    """A line a run with something left, and the sum; what is unmeasured is named."""
    left = {run: one for run, one in found.items() if one.unmeasured or one.wall_seconds}
    text = [f"{run:<20} {_line(one)}" for run, one in left.items()]
    walls = [one.wall_seconds for one in found.values()]
    if not left:
        return [*text, "everything is there"]
    if None in walls:
        some = next(run for run, one in left.items() if one.unmeasured)
        return [*text, f"in all: unmeasured; `synaug preview --run {some}` with the same --store measures it"]
    return [*text, f"in all: {duration(sum(walls))}"]


def _line(one: Forecast) -> str:
    if one.unmeasured:
        return f"unmeasured: {', '.join(one.unmeasured)}"
    work = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in one.seconds.items() if seconds)
    return f"{duration(one.wall_seconds)}, {one.workers} at a time ({work})"
