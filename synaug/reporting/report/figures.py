"""Figures of the report, as inline SVG."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synaug.evaluation.statistics import REAL_KINDS, MeanWithInterval, better_real, class_gain, gain, mean_with_interval
from synaug.reporting.formatting import percent
from synaug.reporting.report.data import ReportData
from synaug.reporting.svg import (
    GRID,
    INK,
    KIND_COLOURS,
    MARKERS,
    Figure,
    Mark,
    bars,
    canvas,
    forest,
    inline,
    kind_mark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 24  # in one figure: those with the largest gains and losses


@dataclass(frozen=True)
class ArmAccuracy:
    arm: str
    scale: int
    accuracy: MeanWithInterval


def scale_figures(data: ReportData) -> list[Figure]:
    """Draw accuracy against scale, one figure per test set: arms by kind, real-only arms as lines across."""
    return [_against_scale(data, test, 10 + n) for n, test in enumerate(data.results.tests)]


def _against_scale(data: ReportData, test: str, number: int) -> Figure:
    results, domain = data.results, "in domain" if data.results.test(test).domain == "in" else "out of domain"
    [axes] = canvas(3.8, 3.0)
    by_kind: dict[str, list[ArmAccuracy]] = {}
    in_words = []
    for arm in results.arms:
        if values := results.accuracies(arm, test):
            first, accuracy = results.first(arm), mean_with_interval(values.values())
            by_kind.setdefault(first.kind, []).append(ArmAccuracy(arm, first.scale or 0, accuracy))
            in_words.append(f"{arm} {percent(accuracy)}")
    mixed = [kind for kind in by_kind if kind not in REAL_KINDS]
    scales = sorted({arm.scale for kind in mixed for arm in by_kind[kind]}) or [1]
    # kinds are drawn beside each other, so that their bars can be told apart
    aside = 0.05 * max(1, scales[-1] - scales[0])
    for kind, arms in by_kind.items():
        if kind in REAL_KINDS:
            for arm_accuracy in arms:
                _across(axes, kind, arm_accuracy)
        else:
            shift = aside * (mixed.index(kind) - (len(mixed) - 1) / 2)
            _curve(axes, kind, sorted(arms, key=lambda arm: arm.scale), shift)
    axes.set_xticks(scales, [f"{scale}x" for scale in scales])
    axes.set_xlim(scales[0] - 0.5, scales[-1] + 0.5)
    axes.set_xlabel("synthetic images for each real one", color=INK)
    axes.set_ylabel("top-1 accuracy, %", color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.legend(
        frameon=False,
        labelcolor=INK,
        loc="lower left",
        bbox_to_anchor=(-0.12, 1.0),
        ncols=3,
        columnspacing=1.2,
        handlelength=1.6,
    )
    description = f"Top-1 accuracy on {test} (and 95% interval): {'; '.join(in_words)}."
    return Figure(f"{test}, {domain}", inline(axes, number, description), description)


def _across(axes: "Axes", kind: str, arm: ArmAccuracy) -> None:
    style = "-" if kind == "real" else (0, (4, 3))
    colour, accuracy = KIND_COLOURS[kind], arm.accuracy
    axes.axhline(100 * accuracy.mean, color=colour, linewidth=1.4, linestyle=style, label=arm.arm, zorder=2)
    if accuracy.low is not None and accuracy.high is not None:
        axes.axhspan(100 * accuracy.low, 100 * accuracy.high, color=colour, alpha=0.12, linewidth=0)


def _curve(axes: "Axes", kind: str, arms: list[ArmAccuracy], shift: float) -> None:
    colour, marker, size, width = KIND_COLOURS[kind], MARKERS[kind], 5.5, 1.4
    scales, percents = [arm.scale + shift for arm in arms], [100 * arm.accuracy.mean for arm in arms]
    axes.plot(scales, percents, label=kind, color=colour, marker=marker, markersize=size, linewidth=width)
    for arm, scale, percent_mean in zip(arms, scales, percents, strict=True):
        axes.errorbar(
            [scale],
            [percent_mean],
            yerr=bars(arm.accuracy),
            capsize=3,
            color=colour,
            marker=marker,
            markersize=size,
            linewidth=width,
        )


def _forest(marks: list[Mark], number: int, title: str, *, label: str) -> Figure:
    [axes] = canvas(3.8, 0.75 + 0.25 * len(marks))
    description = f"{label}: {forest(axes, marks, label=label)}."
    return Figure(title, inline(axes, number, description), description)


def gain_figures(data: ReportData) -> list[Figure]:
    """Draw differences to the better real-only arm, one figure per test set; filled where the interval excludes 0."""
    results, figures = data.results, []
    for n, test in enumerate(results.tests):
        marks = [kind_mark(arm, results.first(arm).kind, gain(results, arm, test)) for arm in results.arms]
        marks = [mark for mark in marks if mark.difference]
        if marks:
            figures.append(_forest(marks, 40 + n, test, label=f"points over {baselines(data, test)}"))
    return figures


def baselines(data: ReportData, test: str) -> str:
    """Name the real-only arms that gains on a test set are over: `real`, or `real or real-half`."""
    results = data.results
    mixed = [arm for arm in results.arms if results.first(arm).kind not in REAL_KINDS]
    names = {better_real(results, arm, test) for arm in mixed}
    return " or ".join(sorted(name for name in names if name))


def class_figures(data: ReportData, arms: list[str]) -> list[Figure]:
    """Draw the gains of each arm by class, on the first test set in domain."""
    results = data.results
    test = next((test for test in results.tests if results.test(test).domain == "in"), None)
    if test is None:
        return []
    figures = []
    for n, arm in enumerate(arms):
        kind = results.first(arm).kind
        gains = {
            class_id: difference
            for class_id in results.test(test).per_class
            if (difference := class_gain(results, arm, test, class_id))
        }
        largest_first = sorted(gains, key=lambda class_id: -gains[class_id].mean)
        marks = [kind_mark(data.names[class_id], kind, gains[class_id]) for class_id in largest_first]
        if len(marks) > MOST_CLASSES:
            marks = marks[: MOST_CLASSES // 2] + marks[-MOST_CLASSES // 2 :]
        if marks:
            label = f"points over {better_real(results, arm, test)}"
            figures.append(_forest(marks, 70 + n, f"{arm} on {test}", label=label))
    return figures
