"""Figures of the report, as inline SVG."""

from synaug.evaluation.statistics import REAL_KINDS, MeanWithInterval, better_real, class_gain, gain, mean_with_interval
from synaug.reporting.formatting import points
from synaug.reporting.report.data import ReportData
from synaug.reporting.svg import GRID, INK, KIND_COLOURS, MARKERS, Figure, bars, canvas, forest, inline, kind_mark

MOST_CLASSES = 24  # in one figure: those with the largest gains and losses


def scale_figures(facts: ReportData) -> list[Figure]:
    """Accuracy against scale, a figure a test set: arms by kind, real-only arms as lines across."""
    return [_against_scale(facts, test, 10 + n) for n, test in enumerate(facts.results.tests)]


def _against_scale(facts: ReportData, test: str, number: int) -> Figure:
    results, domain = facts.results, "in domain" if facts.results.test(test).domain == "in" else "out of domain"
    [axes], by_kind, said = canvas(3.8, 3.0), {}, []
    for arm in results.arms:
        if values := results.accuracies(arm, test):
            own, one = results.first(arm), mean_with_interval(values.values())
            by_kind.setdefault(own.kind, []).append((own.scale or 0, arm, one))
            said.append(
                f"{arm} {points(one.mean)}%"
                + ("" if one.low is None else f" ({points(one.low)} to {points(one.high)})")
            )
    mixed = [kind for kind in by_kind if kind not in REAL_KINDS]
    scales = sorted({scale for kind in mixed for scale, _, _ in by_kind[kind]}) or [1]
    aside = 0.05 * max(1, scales[-1] - scales[0])  # kinds stand beside each other, so that their bars can be told apart
    for kind, found in by_kind.items():
        if kind in REAL_KINDS:
            for _, arm, one in found:
                _across(axes, arm, kind, one)
            continue
        shift = aside * (mixed.index(kind) - (len(mixed) - 1) / 2)
        _curve(axes, kind, [(scale + shift, one) for scale, _, one in sorted(found, key=lambda entry: entry[0])])
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
    says = f"Top-1 accuracy on {test} (and 95% interval): {'; '.join(said)}."
    return Figure(f"{test}, {domain}", inline(axes.figure, number, says), says)


def _across(axes, arm: str, kind: str, one: MeanWithInterval) -> None:
    style = "-" if kind == "real" else (0, (4, 3))
    axes.axhline(100 * one.mean, color=KIND_COLOURS[kind], linewidth=1.4, linestyle=style, label=arm, zorder=2)
    if one.low is not None:
        axes.axhspan(100 * one.low, 100 * one.high, color=KIND_COLOURS[kind], alpha=0.12, linewidth=0)


def _curve(axes, kind: str, found: list[tuple[float, MeanWithInterval]]) -> None:
    look = {"color": KIND_COLOURS[kind], "marker": MARKERS[kind], "markersize": 5.5, "linewidth": 1.4}
    axes.plot([at for at, _ in found], [100 * one.mean for _, one in found], label=kind, **look)
    for at, one in found:
        axes.errorbar([at], [100 * one.mean], yerr=bars(one), capsize=3, **look)


def _forest(rows: list[tuple[str, str, MeanWithInterval]], number: int, title: str, *, label: str) -> Figure:
    """rows: (label, kind, difference)"""
    [axes] = canvas(3.8, 0.75 + 0.25 * len(rows))
    says = f"{label}: {forest(axes, [kind_mark(*row) for row in rows], label=label)}."
    return Figure(title, inline(axes.figure, number, says), says)


def gain_figures(facts: ReportData) -> list[Figure]:
    """Paired differences to the better real-only arm, a figure a test set; filled where the interval excludes 0."""
    figures = []
    for n, test in enumerate(facts.results.tests):
        rows = [(arm, facts.results.first(arm).kind, gain(facts.results, arm, test)) for arm in facts.results.arms]
        rows = [(arm, kind, one) for arm, kind, one in rows if one]
        if rows:
            against = listed_baselines(facts, test)
            figures.append(_forest(rows, 40 + n, test, label=f"points over {against}"))
    return figures


def listed_baselines(facts: ReportData, test: str) -> str:
    found = {
        better_real(facts.results, arm, test)
        for arm in facts.results.arms
        if facts.results.first(arm).kind not in REAL_KINDS
    }
    return " or ".join(sorted(name for name in found if name))


def class_figures(facts: ReportData, arms: list[str]) -> list[Figure]:
    """Gains per class of the given arms on the first test set in domain."""
    tests = [test for test in facts.results.tests if facts.results.test(test).domain == "in"]
    figures = []
    for n, arm in enumerate(arms if tests else []):
        kind = facts.results.first(arm).kind
        found = [
            (class_id, class_gain(facts.results, arm, tests[0], class_id))
            for class_id in facts.results.test(tests[0]).per_class
        ]
        rows = sorted(
            ((facts.names[class_id], kind, one) for class_id, one in found if one), key=lambda row: -row[2].mean
        )
        if len(rows) > MOST_CLASSES:
            rows = rows[: MOST_CLASSES // 2] + rows[-MOST_CLASSES // 2 :]
        if rows:
            figures.append(
                _forest(
                    rows,
                    70 + n,
                    f"{arm} on {tests[0]}",
                    label=f"points over {better_real(facts.results, arm, tests[0])}",
                )
            )
    return figures
