"""What a study claims and what did not show, written from its numbers alone."""

from dataclasses import dataclass

from synaug.reporting.wording import brief, count, listed, signed, verdict
from synaug.statistics import REAL_KINDS
from synaug.study.outcome import Interval, Outcome, Row, Table

DOMAINS = {"in": "in domain", "out": "out of domain"}
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
    def figures(self) -> str:
        """`test +1.5 [+1.1, +1.8], noise −6.7 [−10.0, −3.3]`"""
        return ", ".join(f"{test} {brief(one)}" + ("" if one.low is not None else f" ({_without(one)})") for test, one in self.found)


def _without(one: Interval) -> str:
    return "one seed, no interval" if one.n < 2 else "the same at all seeds, no interval"


def tests(table: Table) -> list[str]:
    """In domain first."""
    return sorted(table.tests, key=lambda test: table.tests[test] != "in")


def name(table: Table, row: Row) -> str:
    """The arm's, with its run where the table has several."""
    one_run = len({one.arm.partition("/")[0] for one in table.rows}) == 1
    return row.arm.partition("/")[2] if one_run else row.arm


def claimed(table: Table) -> list[Statement]:
    """What an interval excludes: gains and losses."""
    return [one for one in statements(table) if one.word]


def not_shown(table: Table) -> list[Statement]:
    return [one for one in statements(table) if not one.word]


def statements(table: Table) -> list[Statement]:
    """Of all rows against real-only, then of all pairs."""
    told = [one for row in table.rows for one in _by_verdict(name(table, row), row.gain, tests(table), pair=False)]
    return told + [one for pair in table.differences for one in _by_verdict(pair.label, pair.tests, tests(table), pair=True)]


def _by_verdict(subject: str, differences: dict, order: list[str], *, pair: bool) -> list[Statement]:
    found: dict[str, list] = {}
    for test in order:
        if test in differences:
            found.setdefault(verdict(differences[test]), []).append((test, differences[test]))
    return [Statement(subject, pair, one, tuple(found[one])) for one in ("gain", "loss", "open", "unknown") if one in found]


def tally(table: Table, *, pair: bool) -> dict[str, int]:
    """How many differences are a gain, a loss, or not shown."""
    told = [(one.verdict, len(one.found)) for one in statements(table) if one.pair == pair]
    return {
        "gain": sum(n for verdict, n in told if verdict == "gain"), "loss": sum(n for verdict, n in told if verdict == "loss"),
        "open": sum(n for verdict, n in told if verdict in ("open", "unknown")),
    }  # fmt: skip


def intervals(outcome: Outcome) -> int:
    """How many differences were asked for in all."""
    return sum(len(one.found) for table in outcome.tables for one in statements(table))


def first_table(outcome: Outcome) -> Table | None:
    """What the headline is about: the first comparison drawn against scale, else the first."""
    return next((table for table in outcome.tables if table.figure == "scale"), outcome.tables[0] if outcome.tables else None)


def leading(table: Table) -> Row | None:
    """The first arm of the largest scale with a gain to tell, the oracle aside: by the order of the study's file, not by its figures."""
    mixed = [row for row in table.rows if row.gain and row.kind not in (*REAL_KINDS, "oracle")]
    return max(mixed, key=lambda row: row.scale or 0, default=None)


def headline(table: Table | None) -> str:
    """`naive-6x over real images alone: +1.5 points in domain, +18.1 to +38.9 out of domain`"""
    row = leading(table) if table else None
    if row is None:
        return "Nothing to compare with real-only arms"
    parts = [part for domain in DOMAINS if (part := _in_domain(table, row, domain))]
    return f"{name(table, row)} over real images alone: {', '.join(parts)}"


def _in_domain(table: Table, row: Row, domain: str) -> str:
    found = [row.gain[test] for test in tests(table) if table.tests[test] == domain and test in row.gain]
    if not found:
        return ""
    shown = sorted(one.mean for one in found if one.shown)
    where = DOMAINS[domain]
    if not shown:
        return f"nothing shown {where}"
    told = f"{signed(shown[0])} points" if shown[0] == shown[-1] else f"{signed(shown[0])} to {signed(shown[-1])} points"
    return f"{told} {where}" + ("" if len(shown) == len(found) else f" (shown on {len(shown)} of {len(found)} sets)")


def seeds(table: Table) -> str:
    """`10 training seeds an arm`, or the least and most of them."""
    numbers = sorted({len(by_seed) for row in table.rows for by_seed in row.seeds.values()})
    return f"{numbers[0]} to {count(numbers[-1], 'training seed')} an arm" if len(numbers) > 1 else f"{count(numbers[0], 'training seed')} an arm"


def baselines(table: Table) -> str:
    """What gains are against, where that is the same for all rows on each test set; else empty: rows name their own."""
    by_test = {test: {row.gain[test].against for row in table.rows if test in row.gain} for test in tests(table)}
    if any(len(found) > 1 for found in by_test.values()):
        return ""
    arms: dict[str, list[str]] = {}
    for test, found in by_test.items():
        for arm in found:
            arms.setdefault(arm, []).append(test)
    return " and ".join(f"{arm} on {listed(on)}" for arm, on in arms.items())


def against(row: Row) -> str:
    """The row's own baselines: one arm, or the arm of each test set."""
    found = {test: one.against for test, one in row.gain.items()}
    return next(iter(found.values())) if len(set(found.values())) == 1 else ", ".join(f"{test}: {arm}" for test, arm in found.items())
