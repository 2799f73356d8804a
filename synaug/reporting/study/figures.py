"""The figures of a comparison, a panel for each test set, in domain first.

Accuracy against scale (the first of a study is the headline figure), and forests of gains and of differences.
scipy is imported where names are placed beside their lines: it is slow to import, and few figures need it.
"""

import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synaug.evaluation.statistics import REAL_KINDS, WithInterval
from synaug.reporting.formatting import listed, percent, verdict
from synaug.reporting.study.labels import DOMAINS, name, seeds, tests
from synaug.reporting.study.outcome import Interval, OutcomeRow, StudyOutcome, Table, split_arm_ref
from synaug.reporting.svg import (
    GAIN,
    GRID,
    KIND_COLOURS,
    LOSS,
    MARKERS,
    MUTED,
    Figure,
    Mark,
    bars,
    canvas,
    forest,
    heading,
    inline,
    kind_mark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, SCALE_HEIGHT = 11.0, 4.1  # inches of a figure as wide as a page
SIZE, SCALE_SIZE = 11.5, 12.5  # points of text: pixels of a README 800 wide
PAIR_COLOURS = {"gain": GAIN, "loss": LOSS}
Dashes = str | tuple[float, tuple[float, ...]]  # as matplotlib takes a line's style
DASHES: tuple[Dashes, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # of several curves of one kind in one run


def figures(outcome: StudyOutcome) -> dict[str, Figure]:
    """Draw what comparisons ask for, and their differences in any case, by file name without its ending."""
    drawn: dict[str, Figure] = {}
    for table in outcome.tables:
        wanted = [table.figure] if table.figure else []
        wanted += ["differences"] if table.differences and "differences" not in wanted else []
        for kind in wanted:
            if figure := DRAWN[kind](table, len(drawn)):
                drawn[f"{table.name}-{kind}"] = figure
    return drawn


def gains_figure(table: Table, number: int) -> Figure | None:
    """Draw gains over the better real-only arm; None without any."""
    rows = [row for row in table.rows if row.gain]
    marks = {test: [kind_mark(name(table, row), row.kind, row.gain.get(test)) for row in rows] for test in tests(table)}
    return _forests(table, marks, number, title="Gain over the better real-only arm", label="points over real-only")


def differences_figure(table: Table, number: int) -> Figure | None:
    """Draw the differences of pairs of arms; None without any."""
    marks = {
        test: [_pair_mark(pair.label, pair.tests.get(test)) for pair in table.differences] for test in tests(table)
    }
    return _forests(table, marks, number, title="Differences of pairs of arms", label="points")


def _pair_mark(label: str, difference: WithInterval | None) -> Mark:
    return Mark("\n".join(textwrap.wrap(label, 38)), PAIR_COLOURS.get(verdict(difference), MUTED), "o", difference)


def _forests(table: Table, marks: dict[str, list[Mark]], number: int, *, title: str, label: str) -> Figure | None:
    rows = next(iter(marks.values()), [])
    if not rows:
        return None
    wrapped = any("\n" in mark.label for mark in rows)
    panels = canvas(WIDTH, 1.4 + (0.42 if wrapped else 0.32) * len(rows), size=SIZE, ncols=len(marks), sharey=True)
    in_words = []
    for axes, (test, of_test) in zip(panels, marks.items(), strict=True):
        heading(axes, test, DOMAINS[table.tests[test]])
        in_words.append(f"On {test}: {forest(axes, of_test, label=label)}.")
    description = f"{title}, {label}, with 95% intervals. " + " ".join(in_words).replace("\n", " ")
    return Figure(title, inline(panels[0], number, description), description)


@dataclass
class Curve:
    """Arms of one run, kind and model that differ in scale alone."""

    run: str
    stem: str
    kind: str
    again: bool = False  # another run has drawn this one already: a thin line, without a name of its own
    dashes: Dashes = "-"
    rows: list[OutcomeRow] = field(default_factory=list)


@dataclass(frozen=True)
class Point:
    scale: float
    accuracy: Interval


@dataclass(frozen=True)
class LineEnd:
    """Where a line ends, in per cent, and its colour: its name is written there."""

    percent: float
    colour: str


@dataclass(frozen=True)
class Limits:
    """Of a panel's vertical axis, in per cent."""

    low: float
    high: float


def curves(table: Table) -> list[Curve]:
    """Group the arms of a comparison into curves, in the order of its rows."""
    by_key: dict[tuple[str, str, str, str], Curve] = {}
    for row in table.rows:
        run, arm = split_arm_ref(row.arm)
        stem = re.sub(r"-\d+x$", "", arm)
        key = (run, stem, row.kind, row.model)
        if key not in by_key:
            stems = {curve.stem for curve in by_key.values() if curve.kind == row.kind}
            dashes = DASHES[len(stems - {stem}) % len(DASHES)]
            by_key[key] = Curve(run, stem, row.kind, again=stem in stems, dashes=dashes)
        by_key[key].rows.append(row)
    return list(by_key.values())


def scale_figure(table: Table, number: int) -> Figure | None:
    """Draw accuracy against scale; None without an arm that has a scale."""
    drawn, order = curves(table), tests(table)
    scales = sorted({row.scale for row in table.rows if row.scale})
    if not scales or not order:
        return None
    panels = canvas(WIDTH * max(2, len(order)) / 4, SCALE_HEIGHT, size=SCALE_SIZE, ncols=len(order))
    for axes, test in zip(panels, order, strict=True):
        _panel(axes, table, test, drawn, scales)
    panels[0].figure.supxlabel(_legend(table, drawn), fontsize=SCALE_SIZE - 1, color=MUTED)
    description = f"{table.title}. " + " ".join(_in_words(table, test) for test in order)
    return Figure(table.title, inline(panels[0], number, description), description)


def _limits(table: Table, test: str) -> Limits:
    """Panels out of domain begin at 0 and are alike; in domain they begin near the values: small differences show."""
    domain = table.tests[test]
    alike = [test] if domain == "in" else [other for other in table.tests if table.tests[other] == domain]
    accuracies = [row.top1[other] for row in table.rows for other in alike if other in row.top1]
    low = min((accuracy.mean if accuracy.low is None else accuracy.low for accuracy in accuracies), default=0.0)
    high = max((accuracy.mean if accuracy.high is None else accuracy.high for accuracy in accuracies), default=1.0)
    step = 1 if high - low < 0.12 else 5
    return Limits(math.floor(100 * low / step) * step if domain == "in" else 0, math.ceil(100 * high / step) * step)


def _panel(axes: "Axes", table: Table, test: str, drawn: list[Curve], scales: list[int]) -> None:
    mixed = list(dict.fromkeys(curve.stem for curve in drawn if curve.kind not in REAL_KINDS))
    span, limits = max(1, scales[-1] - scales[0]), _limits(table, test)
    left, right = scales[0] - 0.12 * span, scales[-1] + 0.12 * span
    ends: dict[str, LineEnd] = {}
    for curve in drawn:
        points = [Point(row.scale or 0, row.top1[test]) for row in curve.rows if test in row.top1]
        points.sort(key=lambda point: point.scale)
        if not points:
            continue
        if curve.kind in REAL_KINDS:
            _across(axes, curve, points[0].accuracy, left, right)
        else:  # kinds are drawn beside each other, so that their bars can be told apart
            aside = 0.035 * span * (mixed.index(curve.stem) - (len(mixed) - 1) / 2)
            _along(axes, curve, [Point(point.scale + aside, point.accuracy) for point in points])
        if not curve.again:
            ends[curve.stem] = LineEnd(100 * points[-1].accuracy.mean, KIND_COLOURS[curve.kind])
    axes.set_xlim(left, scales[-1] + 0.75 * span)
    axes.set_ylim(limits.low, limits.high)
    _direct_labels(axes, ends, scales[-1] + 0.17 * span, limits)
    axes.set_xticks(scales, [f"{scale}x" for scale in scales])
    axes.spines["bottom"].set_bounds(left, right)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    heading(axes, test, f"{DOMAINS[table.tests[test]]}, % from {limits.low:g}")


def _across(axes: "Axes", curve: Curve, accuracy: Interval, left: float, right: float) -> None:
    style: Dashes = "-" if curve.kind == "real" else (0, (4, 3))
    colour, width = KIND_COLOURS[curve.kind], 1.0 if curve.again else 1.6
    axes.plot([left, right], [100 * accuracy.mean] * 2, color=colour, linewidth=width, linestyle=style, zorder=2)
    if accuracy.low is not None and accuracy.high is not None:
        low, high = 100 * accuracy.low, 100 * accuracy.high
        axes.fill_between([left, right], low, high, color=colour, alpha=0.14, linewidth=0)


def _along(axes: "Axes", curve: Curve, points: list[Point]) -> None:
    thin, colour, marker = curve.again, KIND_COLOURS[curve.kind], MARKERS[curve.kind]
    size, width, face = (4.0, 0.9, "none") if thin else (6.5, 1.9, colour)
    axes.plot(
        [point.scale for point in points],
        [100 * point.accuracy.mean for point in points],
        linestyle=curve.dashes,
        color=colour,
        marker=marker,
        markersize=size,
        linewidth=width,
        markerfacecolor=face,
    )
    for point in points:
        axes.errorbar(
            [point.scale],
            [100 * point.accuracy.mean],
            yerr=bars(point.accuracy),
            capsize=2 if thin else 3.5,
            color=colour,
            marker=marker,
            markersize=size,
            linewidth=width,
            markerfacecolor=face,
        )


def _direct_labels(axes: "Axes", ends: dict[str, LineEnd], scale: float, limits: Limits) -> None:
    """Write names beside the ends of their lines, moved apart as little as it takes."""
    from scipy.optimize import isotonic_regression

    gap = 0.075 * (limits.high - limits.low)
    order = sorted(ends, key=lambda stem: ends[stem].percent)
    if not order:
        return
    free = isotonic_regression([ends[stem].percent - gap * n for n, stem in enumerate(order)]).x
    for n, stem in enumerate(order):
        colour, size = ends[stem].colour, SCALE_SIZE - 0.5
        axes.text(scale, free[n] + gap * n, stem, color=colour, va="center", fontsize=size, fontweight="bold")


def _legend(table: Table, drawn: list[Curve]) -> str:
    again = sorted({curve.run for curve in drawn if curve.again})
    thin = f"; thin: run {listed(again)}" if again else ""
    return f"top-1 against synthetic images for each real one; bars and bands: 95% intervals, {seeds(table)}{thin}"


def _in_words(table: Table, test: str) -> str:
    arms = [f"{name(table, row)} {percent(row.top1[test])}" for row in table.rows if test in row.top1]
    return f"Top-1 accuracy on {test}, {DOMAINS[table.tests[test]]}, with 95% intervals: {'; '.join(arms)}."


DRAWN: dict[str, Callable[[Table, int], Figure | None]] = {
    "scale": scale_figure,
    "gains": gains_figure,
    "differences": differences_figure,
}
