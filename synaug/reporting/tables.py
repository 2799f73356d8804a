"""Tables for a terminal: accuracy and gains at the end of a run, and the findings of `diagnose`.

A minus is ASCII's here, so that a number can be copied into a calculation.
"""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synaug.evaluation import statistics
from synaug.evaluation.diagnostics.schema import REAL, CoverageMeasures, Fidelity, Findings, Layer, View, seed_mean
from synaug.evaluation.statistics import MeanWithInterval
from synaug.reporting.formatting import count, points
from synaug.run.results import Results


def summary(results: Results) -> Group:
    """Show what a finished run found; parts without anything to show are left out."""
    parts: list[RenderableType] = []
    if results.evaluations and results.tests:
        parts.append(accuracy_table(results))
        if table := gain_table(results):
            parts += ["", table, Text("* the interval excludes 0", style="dim")]
    return Group(*parts)


def accuracy_table(results: Results) -> Table:
    """Show top-1 by arm and test set."""
    seeds = len({seed for _, seed in results.evaluations})
    table = Table(
        title=f"Top-1 accuracy in %: mean ± std over {count(seeds, 'training seed')}",
        title_justify="left",
    )
    table.add_column("arm", no_wrap=True)
    for test in results.tests:
        table.add_column(test if results.test(test).domain == "in" else f"{test} (out)", justify="right")
    for arm in results.arms:
        values = [results.accuracies(arm, test).values() for test in results.tests]
        table.add_row(arm, *(_spread(statistics.mean_with_interval(by_seed)) if by_seed else "" for by_seed in values))
    return table


def gain_table(results: Results) -> Table | None:
    """Show differences to the better real-only arm, by arm and test set; None without an arm to compare."""
    gains = {arm: [statistics.gain(results, arm, test) for test in results.tests] for arm in results.arms}
    gains = {arm: by_test for arm, by_test in gains.items() if any(by_test)}
    if not gains:
        return None
    table = Table(
        title="Difference to the better real-only arm in points, paired by seed [95% interval]", title_justify="left"
    )
    table.add_column("arm", no_wrap=True)
    for test in results.tests:
        table.add_column(test, justify="right")
    for arm, by_test in gains.items():
        table.add_row(arm, *(Text(_difference(gain), style="bold" if gain and gain.shown else "") for gain in by_test))
    return table


def diagnostics_tables(findings: Findings) -> Iterator[Group]:
    """Show the findings of `diagnose`, each as a table of 80 columns."""
    if findings.fidelity:
        yield _fidelity(findings.fidelity)
    for view in findings.coverage.views if findings.coverage else []:
        yield _view(view)
    for arm, seeds in findings.branches.arms.items() if findings.branches else []:
        yield _branches(arm, seeds)


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _spread(accuracy: MeanWithInterval) -> str:
    return points(accuracy.mean) + ("" if accuracy.std is None else f" ± {points(accuracy.std)}")


def _difference(gain: MeanWithInterval | None) -> str:
    if gain is None:
        return ""
    if gain.low is None or gain.high is None:
        return _signed(gain.mean)
    return f"{_signed(gain.mean)} [{_signed(gain.low)}, {_signed(gain.high)}]{' *' if gain.shown else '  '}"


def _plain_table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _fidelity(fidelity: Fidelity) -> Group:
    table = _plain_table("images", "top-1", "n")
    for kind, accuracy in fidelity.kinds.items():
        table.add_row(f"synthetic, {kind}", f"{points(accuracy.top1)}%", f"{accuracy.n:,}")
    for test, accuracy in fidelity.real.items():
        table.add_row(f"real, {test}", f"{points(accuracy.top1)}%", f"{accuracy.n:,}")
    class_id, lowest = min(fidelity.classes.items(), key=lambda item: item[1].top1)
    inputs = fidelity.inputs
    title = (
        f"Fidelity: accuracy of {inputs.classifier} at {inputs.scale}x, "
        f"at most {inputs.images_per_class} images a class"
    )
    return Group(title, table, f"Lowest: {class_id}, {points(lowest.top1)}% of {lowest.n}")


def _view(view: View) -> Group:
    measures = [*CoverageMeasures.model_fields]
    table = _plain_table("images", *measures)
    for name, row in view.rows.items():
        values = [
            f"{getattr(row.by_class, measure):.3f} / {getattr(row.over_all, measure):.3f}" for measure in measures
        ]
        table.add_row("other real ones" if name == REAL else f"synthetic, {name}", *values)
    inputs = view.inputs
    title = (
        f"Coverage of the real images of {inputs.reference} in {inputs.features} features at {inputs.scale}x: "
        f"within the classes / over all, {view.size} / {view.n_over_all:,} images of each set, k = {view.k}"
    )
    left_out = ", ".join(f"{name} ({n})" for name, n in view.left_out.items())
    return Group(title, table, *([f"Left out, too few images: {left_out}"] if left_out else []))


def _branches(arm: str, seeds: dict[int, list[Layer]]) -> Group:
    table = _plain_table("layer", "channels", "mean", "ln variance", "KL", "scale", "shift")
    for layer in seed_mean(seeds):
        affine = ["" if value is None else f"{value:.3f}" for value in (layer.weight, layer.bias)]
        table.add_row(
            layer.name,
            f"{layer.channels}",
            f"{layer.mean:.3f}",
            f"{layer.variance:+.3f}",
            f"{layer.divergence:.3f}",
            *affine,
        )
    title = (
        f"{arm}: auxiliary against main batch norms, mean over channels and {count(len(seeds), 'training seed')}: "
        "|difference of means| / std, ln(aux / main variance), symmetric KL in nats, relative difference of the affine "
        "parameters"
    )
    return Group(title, table)
