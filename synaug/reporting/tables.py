"""The tables at the end of a run: accuracy by arm and test set, and differences to real-only."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from synaug.config import Config
from synaug.data.store import Store
from synaug.evaluation import statistics
from synaug.evaluation.statistics import MeanWithInterval
from synaug.run.results import Results, load_results


def points(value: float, *, signed: bool = False) -> str:
    """0.8123 as 81.2, in per cent or in points."""
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def spread(one: MeanWithInterval) -> str:
    return points(one.mean) if one.std is None else f"{points(one.mean)} ± {points(one.std)}"


def difference(one: MeanWithInterval | None) -> str:
    if one is None:
        return ""
    if one.low is None:
        return points(one.mean, signed=True)
    interval = f"[{points(one.low, signed=True)}, {points(one.high, signed=True)}]"
    return f"{points(one.mean, signed=True)} {interval}{' *' if one.shown else '  '}"


def accuracy_table(results: Results) -> Table:
    seeds = len({seed for _, seed in results.evaluations})
    table = Table(
        title=f"Top-1 accuracy in %: mean ± std over {seeds} training seed{'s' if seeds != 1 else ''}",
        title_justify="left",
    )
    table.add_column("arm", no_wrap=True)
    for test in results.tests:
        table.add_column(test if results.test(test).domain == "in" else f"{test} (out)", justify="right")
    for arm in results.arms:
        values = [results.accuracies(arm, test) for test in results.tests]
        table.add_row(arm, *(spread(statistics.mean_with_interval(one.values())) if one else "" for one in values))
    return table


def gain_table(results: Results) -> Table | None:
    """None without an arm to compare."""
    gains = {arm: [statistics.gain(results, arm, test) for test in results.tests] for arm in results.arms}
    gains = {arm: found for arm, found in gains.items() if any(found)}
    if not gains:
        return None
    table = Table(
        title="Difference to the better real-only arm in points, paired by seed [95% interval]", title_justify="left"
    )
    table.add_column("arm", no_wrap=True)
    for test in results.tests:
        table.add_column(test, justify="right")
    for arm, found in gains.items():
        table.add_row(arm, *(Text(difference(one), style="bold" if one and one.shown else "") for one in found))
    return table


def summary(store: Store, run: str, config: Config) -> Group:
    """What a finished run shows; parts without anything to show are left out."""
    results = load_results(store, run, config)
    parts = []
    if results.evaluations and results.tests:
        parts.append(accuracy_table(results))
        if table := gain_table(results):
            parts += ["", table, Text("* the interval excludes 0", style="dim")]
    return Group(*parts)
