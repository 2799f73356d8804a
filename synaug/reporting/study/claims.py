"""What a study claims and what did not show, written from its numbers alone."""

from dataclasses import dataclass

from synaug.evaluation.statistics import REAL_KINDS
from synaug.reporting.formatting import brief, signed, verdict
from synaug.reporting.study.labels import DOMAINS, name, tests
from synaug.reporting.study.outcome import Interval, OutcomeRow, StudyOutcome, Table

WORDS = {"gain": "above", "loss": "below"}  # against real-only
PAIR_WORDS = {"gain": "higher", "loss": "lower"}


@dataclass(frozen=True)
class Statement:
    """One verdict of an arm, or of a pair of arms, with the test sets that it holds on."""

    subject: str  # the arm's name in its table, or the pair's label
    pair: bool
    verdict: str  # gain, loss, open or unknown
    found: tuple[tuple[str, Interval], ...]  # test set and difference

    @property
    def word(self) -> str:
        """`above`, `lower`, ...: what is claimed; empty for what is not."""
        return (PAIR_WORDS if self.pair else WORDS).get(self.verdict, "")

    @property
    def pieces(self) -> list[str]:
        """`test +1.5 [+1.1, +1.8]` of each test set"""
        return [
            f"{test} {brief(one)}" + ("" if one.low is not None else f" ({_without(one)})") for test, one in self.found
        ]


def _without(one: Interval) -> str:
    return "one seed, no interval" if one.n < 2 else "the same at all seeds, no interval"


def claimed(table: Table) -> list[Statement]:
    """What an interval excludes: gains and losses."""
    return [one for one in statements(table) if one.word]


def not_shown(table: Table) -> list[Statement]:
    return [one for one in statements(table) if not one.word]


def statements(table: Table) -> list[Statement]:
    """Of all rows against real-only, then of all pairs."""
    told = [one for row in table.rows for one in _by_verdict(name(table, row), row.gain, tests(table), pair=False)]
    return told + [
        one for pair in table.differences for one in _by_verdict(pair.label, pair.tests, tests(table), pair=True)
    ]


def _by_verdict(subject: str, differences: dict, order: list[str], *, pair: bool) -> list[Statement]:
    found: dict[str, list] = {}
    for test in order:
        if test in differences:
            found.setdefault(verdict(differences[test]), []).append((test, differences[test]))
    return [
        Statement(subject, pair, one, tuple(found[one])) for one in ("gain", "loss", "open", "unknown") if one in found
    ]


def tally(table: Table, *, pair: bool) -> dict[str, int]:
    """How many differences are a gain, a loss, or not shown."""
    told = [(one.verdict, len(one.found)) for one in statements(table) if one.pair == pair]
    return {
        "gain": sum(n for verdict, n in told if verdict == "gain"),
        "loss": sum(n for verdict, n in told if verdict == "loss"),
        "open": sum(n for verdict, n in told if verdict in ("open", "unknown")),
    }


def intervals(outcome: StudyOutcome) -> int:
    """How many differences were asked for in all."""
    return sum(len(one.found) for table in outcome.tables for one in statements(table))


def first_table(outcome: StudyOutcome) -> Table | None:
    """What the headline is about: the first comparison drawn against scale, else the first."""
    return next(
        (table for table in outcome.tables if table.figure == "scale"), outcome.tables[0] if outcome.tables else None
    )


def leading(table: Table) -> OutcomeRow | None:
    """The first arm of the largest scale with a gain to tell, the oracle aside: by the order of the study's file, not by its figures."""
    mixed = [row for row in table.rows if row.gain and row.kind not in (*REAL_KINDS, "oracle")]
    return max(mixed, key=lambda row: row.scale or 0, default=None)


def foremost(table: Table) -> list[Statement]:
    """Of the arms of the largest scale and of the pairs: what the first screen has room for."""
    largest = max((row.scale or 0 for row in table.rows), default=0)
    names = {name(table, row) for row in table.rows if (row.scale or 0) == largest}
    return [one for one in statements(table) if one.pair or one.subject in names]


def headline(table: Table | None) -> str:
    """`naive-6x over real images alone: +1.5 points in domain, +18.1 to +38.9 out of domain`"""
    row = leading(table) if table else None
    if row is None:
        return "Nothing to compare with real-only arms"
    parts = [part for domain in DOMAINS if (part := _in_domain(table, row, domain))]
    return f"{row.arm.partition('/')[2]} over real images alone: {', '.join(parts)}"


def _in_domain(table: Table, row: OutcomeRow, domain: str) -> str:
    found = [row.gain[test] for test in tests(table) if table.tests[test] == domain and test in row.gain]
    if not found:
        return ""
    shown = sorted(one.mean for one in found if one.shown)
    where = DOMAINS[domain]
    if not shown:
        return f"nothing shown {where}"
    told = (
        f"{signed(shown[0])} points" if shown[0] == shown[-1] else f"{signed(shown[0])} to {signed(shown[-1])} points"
    )
    return f"{told} {where}" + ("" if len(shown) == len(found) else f" (shown on {len(shown)} of {len(found)} sets)")
