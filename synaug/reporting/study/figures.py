"""The figures of a comparison: forests of gains and of differences, a panel for each test set."""

import textwrap
from collections.abc import Callable

from synaug.reporting.formatting import verdict
from synaug.reporting.study.labels import DOMAINS, name, tests
from synaug.reporting.study.outcome import StudyOutcome, Table
from synaug.reporting.study.scale import scale_figure
from synaug.reporting.svg import GAIN, LOSS, MUTED, Figure, Mark, canvas, forest, heading, inline, kind_mark

WIDTH = 11.0  # inches of a figure as wide as a page; 12 points are 12 pixels of a README then
PAIR_COLOURS = {"gain": GAIN, "loss": LOSS}


def figures(outcome: StudyOutcome) -> dict[str, Figure]:
    """By file name without its ending; what a comparison asks for, and its differences in any case."""
    drawn: dict[str, Figure] = {}
    for table in outcome.tables:
        wanted = [table.figure] if table.figure else []
        wanted += ["differences"] if table.differences and "differences" not in wanted else []
        for kind in wanted:
            if one := DRAWN[kind](table, len(drawn)):
                drawn[f"{table.name}-{kind}"] = one
    return drawn


def gains_figure(table: Table, number: int) -> Figure | None:
    """Against the better real-only arm."""
    rows = [row for row in table.rows if row.gain]
    marks = {test: [kind_mark(name(table, row), row.kind, row.gain.get(test)) for row in rows] for test in tests(table)}
    return _forests(table, marks, number, title="Gain over the better real-only arm", label="points over real-only")


def differences_figure(table: Table, number: int) -> Figure | None:
    marks = {
        test: [_pair_mark(pair.label, pair.tests.get(test)) for pair in table.differences] for test in tests(table)
    }
    return _forests(table, marks, number, title="Differences of pairs of arms", label="points")


def _pair_mark(label: str, one) -> Mark:
    return Mark("\n".join(textwrap.wrap(label, 38)), PAIR_COLOURS.get(verdict(one), MUTED), "o", one)


def _forests(table: Table, marks: dict[str, list[Mark]], number: int, *, title: str, label: str) -> Figure | None:
    rows = next(iter(marks.values()), [])
    if not rows:
        return None
    wrapped = any("\n" in mark.label for mark in rows)
    several = canvas(WIDTH, 1.4 + (0.42 if wrapped else 0.32) * len(rows), size=11.5, ncols=len(marks), sharey=True)
    said = []
    for axes, (test, own) in zip(several, marks.items(), strict=True):
        heading(axes, test, DOMAINS[table.tests[test]])
        said.append(f"On {test}: {forest(axes, own, label=label)}.")
    says = f"{title}, {label}, with 95% intervals. " + " ".join(said).replace("\n", " ")
    return Figure(title, inline(several[0].figure, number, says), says)


DRAWN: dict[str, Callable[[Table, int], Figure | None]] = {
    "scale": scale_figure,
    "gains": gains_figure,
    "differences": differences_figure,
}
