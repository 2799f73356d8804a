"""Accuracy against scale: a panel for each test set, in domain first. The first of a study is the headline figure."""

import math
import re
from dataclasses import dataclass, field

from synaug.evaluation.statistics import REAL_KINDS
from synaug.reporting.formatting import listed, points
from synaug.reporting.study.labels import DOMAINS, name, seeds, tests
from synaug.reporting.study.outcome import Interval, OutcomeRow, Table
from synaug.reporting.study.reference import split_arm_ref
from synaug.reporting.svg import GRID, KIND_COLOURS, MARKERS, MUTED, Figure, bars, canvas, heading, inline

WIDTH, HEIGHT = 11.0, 4.1  # inches
SIZE = 12.5  # points of text: pixels of a README 800 wide
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # of several curves of one kind in one run


@dataclass
class Curve:
    """Arms of one run, kind and model that differ in scale alone."""

    run: str
    stem: str
    kind: str
    again: bool = False  # another run has drawn this one already: a thin line, without a name of its own
    dashes: object = "-"
    rows: list[OutcomeRow] = field(default_factory=list)


def curves(table: Table) -> list[Curve]:
    found: dict[tuple, Curve] = {}
    for row in table.rows:
        run, arm = split_arm_ref(row.arm)
        stem = re.sub(r"-\d+x$", "", arm)
        key = (run, stem, row.kind, row.model)
        if key not in found:
            earlier = [one for one in found.values() if one.kind == row.kind]
            alike = {one.stem for one in earlier}
            again = any(one.stem == stem for one in earlier)
            dashes = DASHES[len(alike - {stem}) % len(DASHES)]
            found[key] = Curve(run, stem, row.kind, again, dashes)
        found[key].rows.append(row)
    return list(found.values())


def scale_figure(table: Table, number: int) -> Figure | None:
    """None without an arm that has a scale."""
    drawn, order = curves(table), tests(table)
    scales = sorted({row.scale for row in table.rows if row.scale})
    if not scales or not order:
        return None
    several = canvas(WIDTH * max(2, len(order)) / 4, HEIGHT, size=SIZE, ncols=len(order))
    limits = {test: _limits(table, test) for test in order}
    for axes, test in zip(several, order, strict=True):
        _panel(axes, table, test, drawn, scales, limits[test])
    figure = several[0].figure
    figure.supxlabel(_legend(table, drawn), fontsize=SIZE - 1, color=MUTED)
    says = f"{table.title}. " + " ".join(_in_words(table, test) for test in order)
    return Figure(table.title, inline(figure, number, says), says)


def _limits(table: Table, test: str) -> tuple[float, float]:
    """In per cent. Panels out of domain begin at 0 and are alike; in domain small differences have to be seen, so it begins near them."""
    domain = table.tests[test]
    alike = [test] if domain == "in" else [one for one in table.tests if table.tests[one] == domain]
    found = [row.top1[one] for row in table.rows for one in alike if one in row.top1]
    low = min((one.mean if one.low is None else one.low for one in found), default=0.0)
    high = max((one.mean if one.high is None else one.high for one in found), default=1.0)
    step = 1 if high - low < 0.12 else 5
    return (math.floor(100 * low / step) * step if domain == "in" else 0), math.ceil(100 * high / step) * step


def _panel(axes, table: Table, test: str, drawn: list[Curve], scales: list[int], limits: tuple[float, float]) -> None:
    mixed = list(dict.fromkeys(curve.stem for curve in drawn if curve.kind not in REAL_KINDS))
    span = max(1, scales[-1] - scales[0])
    ends: dict[str, tuple[float, str]] = {}
    for curve in drawn:
        found = sorted(
            [(row.scale or 0, row.top1[test]) for row in curve.rows if test in row.top1], key=lambda one: one[0]
        )
        if not found:
            continue
        if curve.kind in REAL_KINDS:
            _across(axes, curve, found[0][1], scales[0] - 0.12 * span, scales[-1] + 0.12 * span)
        else:  # kinds stand beside each other, so that their bars can be told apart
            aside = 0.035 * span * (mixed.index(curve.stem) - (len(mixed) - 1) / 2)
            _along(axes, curve, [(scale + aside, one) for scale, one in found])
        if not curve.again:
            ends[curve.stem] = (100 * found[-1][1].mean, KIND_COLOURS[curve.kind])
    axes.set_xlim(scales[0] - 0.12 * span, scales[-1] + 0.75 * span)
    axes.set_ylim(*limits)
    _direct_labels(axes, ends, scales[-1] + 0.17 * span, limits)
    axes.set_xticks(scales, [f"{scale}x" for scale in scales])
    axes.spines["bottom"].set_bounds(scales[0] - 0.12 * span, scales[-1] + 0.12 * span)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    heading(axes, test, f"{DOMAINS[table.tests[test]]}, % from {limits[0]:g}")


def _across(axes, curve: Curve, one: Interval, left: float, right: float) -> None:
    style = "-" if curve.kind == "real" else (0, (4, 3))
    colour, width = KIND_COLOURS[curve.kind], 1.0 if curve.again else 1.6
    axes.plot([left, right], [100 * one.mean] * 2, color=colour, linewidth=width, linestyle=style, zorder=2)
    if one.low is not None:
        axes.fill_between([left, right], 100 * one.low, 100 * one.high, color=colour, alpha=0.14, linewidth=0)


def _along(axes, curve: Curve, found: list[tuple[float, Interval]]) -> None:
    colour, thin = KIND_COLOURS[curve.kind], curve.again
    look = {
        "color": colour,
        "marker": MARKERS[curve.kind],
        "markersize": 4 if thin else 6.5,
        "linewidth": 0.9 if thin else 1.9,
    }
    look["markerfacecolor"] = "none" if thin else colour
    axes.plot([at for at, _ in found], [100 * one.mean for _, one in found], linestyle=curve.dashes, **look)
    for at, one in found:
        axes.errorbar([at], [100 * one.mean], yerr=bars(one), capsize=2 if thin else 3.5, **look)


def _direct_labels(axes, ends: dict[str, tuple[float, str]], at: float, limits: tuple[float, float]) -> None:
    """Names beside the ends of their lines, moved apart as little as it takes."""
    from scipy.optimize import isotonic_regression

    gap = 0.075 * (limits[1] - limits[0])
    order = sorted(ends, key=lambda stem: ends[stem][0])
    if not order:
        return
    free = isotonic_regression([ends[stem][0] - gap * n for n, stem in enumerate(order)]).x
    for n, stem in enumerate(order):
        axes.text(at, free[n] + gap * n, stem, color=ends[stem][1], va="center", fontsize=SIZE - 0.5, fontweight="bold")


def _legend(table: Table, drawn: list[Curve]) -> str:
    again = sorted({curve.run for curve in drawn if curve.again})
    thin = f"; thin: run {listed(again)}" if again else ""
    return f"top-1 against synthetic images for each real one; bars and bands: 95% intervals, {seeds(table)}{thin}"


def _in_words(table: Table, test: str) -> str:
    found = [(name(table, row), row.top1[test]) for row in table.rows if test in row.top1]
    told = [
        f"{arm} {points(one.mean)}%" + ("" if one.low is None else f" ({points(one.low)} to {points(one.high)})")
        for arm, one in found
    ]
    return f"Top-1 accuracy on {test}, {DOMAINS[table.tests[test]]}, with 95% intervals: {'; '.join(told)}."
