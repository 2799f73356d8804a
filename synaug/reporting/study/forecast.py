"""The time of a study before it is spent: what one run's preview measured holds for every run of the same settings."""

from synaug.data.store import Store
from synaug.run.forecast import forecast
from synaug.run.job import open_run
from synaug.run.plan import Forecast
from synaug.run.progress import duration
from synaug.run.rates import Rates, known_rates
from synaug.run.status import read_state


def forecasts(store: Store, runs: list[str]) -> dict[str, Forecast]:
    """Estimate what is left of each of the planned runs."""
    return {run: forecast_of(store, run, runs) for run in runs}


def forecast_of(store: Store, run: str, runs: list[str]) -> Forecast:
    """Estimate what is left of one of the planned runs, by what was measured of any."""
    config, plan = open_run(store, run)
    own_first = sorted(runs, key=lambda other: other != run)
    rates = together([known_rates(store, other, config, plan) for other in own_first])
    return forecast(config, plan, read_state(store, run, config, plan), rates)


def together(several: list[Rates]) -> Rates:
    """Take of each stage the first rate that is known; trainings are known by their shape, so all count."""
    measured = [rates for rates in several if rates.start] or several
    return Rates(
        workers=measured[0].workers,
        start=measured[0].start,
        paces={
            stage: {shape: pace for rates in reversed(several) for shape, pace in rates.paces.get(stage, {}).items()}
            for stage in {stage: None for rates in several for stage in rates.paces}
        },
    )


def lines(by_run: dict[str, Forecast]) -> list[str]:
    """Write one line per run with something left, and the sum; what is unmeasured is named."""
    left = {run: estimate for run, estimate in by_run.items() if estimate.unmeasured or estimate.wall_seconds}
    text = [f"{run:<20} {_line(estimate)}" for run, estimate in left.items()]
    if not left:
        return [*text, "everything is there"]
    known = [estimate.wall_seconds for estimate in by_run.values() if estimate.wall_seconds is not None]
    if len(known) < len(by_run):
        unmeasured = next(run for run, estimate in left.items() if estimate.unmeasured)
        return [*text, f"in all: unmeasured; `synaug preview --run {unmeasured}` with the same --store measures it"]
    return [*text, f"in all: {duration(sum(known))}"]


def _line(estimate: Forecast) -> str:
    if estimate.unmeasured:
        return f"unmeasured: {', '.join(estimate.unmeasured)}"
    work = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in estimate.seconds.items() if seconds)
    return f"{duration(estimate.wall_seconds)}, {estimate.workers} at a time ({work})"
