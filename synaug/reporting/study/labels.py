"""What the parts of a comparison are called, and what stands beside their names."""

from synaug.reporting.formatting import count, listed
from synaug.reporting.study.outcome import OutcomeRow, Table
from synaug.reporting.study.reference import split_arm_ref

DOMAINS = {"in": "in domain", "out": "out of domain"}
LONGEST = 60  # characters of a changed setting; the page's list of runs has all of it


def tests(table: Table) -> list[str]:
    """In domain first."""
    return sorted(table.tests, key=lambda test: table.tests[test] != "in")


def name(table: Table, row: OutcomeRow) -> str:
    """The arm's, with its run where the table has several."""
    one_run = len({split_arm_ref(one.arm)[0] for one in table.rows}) == 1
    return split_arm_ref(row.arm)[1] if one_run else row.arm


def seeds(table: Table) -> str:
    """`10 training seeds an arm`, or the least and most of them."""
    numbers = {len(by_seed) for row in table.rows for by_seed in row.seeds.values()}
    numbers = sorted(numbers | {one.n for pair in table.differences for one in pair.tests.values()})
    least = f"{numbers[0]} to " if len(numbers) > 1 else ""
    return f"{least}{count(numbers[-1], 'training seed')} an arm" if numbers else "no arms"


def baselines(table: Table) -> list[str]:
    """What gains are over: a sentence where that is the same for all rows, else one for each set of rows."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.gain:
            rows.setdefault(_over(table, row), []).append(name(table, row))
    if len(rows) == 1:
        return [f"Gains are over {next(iter(rows))}."]
    return [f"Gains of {listed(names)} are over {over}." for over, names in rows.items()]


def _over(table: Table, row: OutcomeRow) -> str:
    """`main/real on test and main/real-half on contexts and noise`"""
    on: dict[str, list[str]] = {}
    for test in tests(table):
        if test in row.gain:
            on.setdefault(row.gain[test].against, []).append(test)
    return (
        next(iter(on)) if len(on) == 1 else " and ".join(f"{arm} on {listed(several)}" for arm, several in on.items())
    )


def notes(table: Table) -> list[str]:
    """Sentences below a table: what gains are over, and what all its rows change in the base of their study."""
    shared = _settings(_shared(table))
    return baselines(table) + ([f"In all rows: {shared}."] if shared else [])


def details(table: Table, row: OutcomeRow) -> str:
    """What tells the row from the other rows and the base of its study, and its model where the table has several."""
    shared, several = _shared(table), len({(one.model, one.parameters) for one in table.rows}) > 1
    told = {
        field: value
        for field, value in row.changed.items()
        if field not in shared and not (several and field == "settings.model")
    }
    model = row.model + (f", {row.parameters / 1e6:.1f} M parameters" if row.parameters else "")
    return "; ".join(([model] if several else []) + ([_settings(told)] if told else []))


def _shared(table: Table) -> dict[str, str]:
    first = table.rows[0].changed if table.rows else {}
    return {
        field: value for field, value in first.items() if all(row.changed.get(field) == value for row in table.rows)
    }


def _settings(changed: dict[str, str]) -> str:
    """An arm's own fields without the section that they stand in."""
    return "; ".join(f"{field.removeprefix('settings.')} {cut(value)}" for field, value in changed.items())


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
