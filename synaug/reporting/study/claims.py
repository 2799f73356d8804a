"""What a study claims and what did not show, written from its numbers alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from synaug.evaluation.statistics import REAL_KINDS
from synaug.reporting.formatting import brief, signed, verdict
from synaug.reporting.study.labels import DOMAINS, name, tests
from synaug.reporting.study.outcome import Interval, OutcomeRow, StudyOutcome, Table, split_arm_ref

WORDS = {"gain": "above", "loss": "below"}  # against real-only
PAIR_WORDS = {"gain": "higher", "loss": "lower"}
VERDICTS = ("gain", "loss", "open", "unknown")


@dataclass(frozen=True)
class TestDifference:
    """A difference on one test set."""

    __test__ = False  # not a pytest class

    test: str
    difference: Interval

    @property
    def text(self) -> str:
        """`test +1.5 [+1.1, +1.8]`; where there is no interval, why."""
        text = f"{self.test} {brief(self.difference)}"
        if self.difference.low is not None:
            return text
        reason = "one seed" if self.difference.n < 2 else "the same at all seeds"
        return f"{text} ({reason}, no interval)"


@dataclass(frozen=True)
class Statement:
    """One verdict of an arm, or of a pair of arms, with the test sets that it holds on."""

    subject: str  # the arm's name in its table, or the pair's label
    pair: bool
    verdict: str  # one of VERDICTS
    differences: tuple[TestDifference, ...]

    @property
    def word(self) -> str:
        """`above`, `lower`, ...: what is claimed; empty for what is not."""
        return (PAIR_WORDS if self.pair else WORDS).get(self.verdict, "")

    @property
    def pieces(self) -> list[str]:
        """`test +1.5 [+1.1, +1.8]` of each test set"""
        return [difference.text for difference in self.differences]


def claimed(table: Table) -> list[Statement]:
    """List what an interval excludes: gains and losses."""
    return [statement for statement in statements(table) if statement.word]


def not_shown(table: Table) -> list[Statement]:
    """List what no interval excludes."""
    return [statement for statement in statements(table) if not statement.word]


def statements(table: Table) -> list[Statement]:
    """State the verdicts of all rows against real-only, then of all pairs."""
    of_rows = [
        statement
        for row in table.rows
        for statement in _by_verdict(name(table, row), row.gain, tests(table), pair=False)
    ]
    of_pairs = [
        statement
        for pair in table.differences
        for statement in _by_verdict(pair.label, pair.tests, tests(table), pair=True)
    ]
    return of_rows + of_pairs


def _by_verdict(subject: str, differences: Mapping[str, Interval], order: list[str], *, pair: bool) -> list[Statement]:
    by_verdict: dict[str, list[TestDifference]] = {}
    for test in order:
        if test in differences:
            by_verdict.setdefault(verdict(differences[test]), []).append(TestDifference(test, differences[test]))
    return [Statement(subject, pair, judged, tuple(by_verdict[judged])) for judged in VERDICTS if judged in by_verdict]


def tally(table: Table, *, pair: bool) -> dict[str, int]:
    """Count the differences that are a gain, a loss, or not shown (`open`)."""
    counts = {"gain": 0, "loss": 0, "open": 0}
    for statement in statements(table):
        if statement.pair == pair:
            counts[statement.verdict if statement.word else "open"] += len(statement.differences)
    return counts


def intervals(outcome: StudyOutcome) -> int:
    """Count the differences that were asked for in all."""
    return sum(len(statement.differences) for table in outcome.tables for statement in statements(table))


def first_table(outcome: StudyOutcome) -> Table | None:
    """Choose what the headline is about: the first comparison drawn against scale, else the first."""
    against_scale = [table for table in outcome.tables if table.figure == "scale"]
    return next(iter(against_scale + outcome.tables), None)


def leading(table: Table) -> OutcomeRow | None:
    """Choose the first arm of the largest scale with a gain to tell, the oracle aside.

    By the order of the study's file, not by its figures.
    """
    mixed = [row for row in table.rows if row.gain and row.kind not in (*REAL_KINDS, "oracle")]
    return max(mixed, key=lambda row: row.scale or 0, default=None)


def foremost(table: Table) -> list[Statement]:
    """Choose what the first screen has room for: the arms of the largest scale, and the pairs."""
    largest = max((row.scale or 0 for row in table.rows), default=0)
    names = {name(table, row) for row in table.rows if (row.scale or 0) == largest}
    return [statement for statement in statements(table) if statement.pair or statement.subject in names]


def headline(table: Table | None) -> str:
    """Write `naive-6x over real images alone: +1.5 points in domain, +18.1 to +38.9 points out of domain`."""
    row = leading(table) if table else None
    if table is None or row is None:
        return "Nothing to compare with real-only arms"
    parts = [part for domain in DOMAINS if (part := _in_domain(table, row, domain))]
    return f"{split_arm_ref(row.arm)[1]} over real images alone: {', '.join(parts)}"


def _in_domain(table: Table, row: OutcomeRow, domain: str) -> str:
    gains = [row.gain[test] for test in tests(table) if table.tests[test] == domain and test in row.gain]
    if not gains:
        return ""
    shown = sorted(gain.mean for gain in gains if gain.shown)
    where = DOMAINS[domain]
    if not shown:
        return f"nothing shown {where}"
    least, most = signed(shown[0]), signed(shown[-1])
    text = f"{least} points" if shown[0] == shown[-1] else f"{least} to {most} points"
    return f"{text} {where}" + ("" if len(shown) == len(gains) else f" (shown on {len(shown)} of {len(gains)} sets)")
