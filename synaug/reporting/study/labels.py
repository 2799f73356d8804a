"""What the parts of a comparison are called, and what is written beside their names."""

from synaug.reporting.formatting import count, listed
from synaug.reporting.study.outcome import OutcomeRow, Table, split_arm_ref

DOMAINS = {"in": "in domain", "out": "out of domain"}
LONGEST = 60  # characters of a changed setting; the page's list of runs has all of it


def tests(table: Table) -> list[str]:
    """List the test sets of a comparison, those in domain first."""
    return sorted(table.tests, key=lambda test: table.tests[test] != "in")


def name(table: Table, row: OutcomeRow) -> str:
    """Name an arm, with its run where the table has several."""
    one_run = len({split_arm_ref(other.arm)[0] for other in table.rows}) == 1
    return split_arm_ref(row.arm)[1] if one_run else row.arm


def seeds(table: Table) -> str:
    """Write how many seeds an arm has: `10 training seeds an arm`, or the least and most of them."""
    numbers = {len(by_seed) for row in table.rows for by_seed in row.seeds.values()}
    numbers |= {interval.n for pair in table.differences for interval in pair.tests.values()}
    if not numbers:
        return "no arms"
    least = f"{min(numbers)} to " if len(numbers) > 1 else ""
    return f"{least}{count(max(numbers), 'training seed')} an arm"


def baselines(table: Table) -> list[str]:
    """Say what gains are over: one sentence where that is the same for all rows, else one for each set of rows."""
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
    if len(on) == 1:
        return next(iter(on))
    return " and ".join(f"{arm} on {listed(of_arm)}" for arm, of_arm in on.items())


def notes(table: Table) -> list[str]:
    """Write the sentences below a table: what gains are over, and what all rows change in their study's base."""
    shared = _settings(_shared(table))
    return baselines(table) + ([f"In all rows: {shared}."] if shared else [])


def details(table: Table, row: OutcomeRow) -> str:
    """Write what tells a row from the others and from its study's base, and its model where the table has several."""
    shared, several = _shared(table), len({(other.model, other.parameters) for other in table.rows}) > 1
    own = {
        field: value
        for field, value in row.changed.items()
        if field not in shared and not (several and field == "settings.model")
    }
    model = row.model + (f", {row.parameters / 1e6:.1f} M parameters" if row.parameters else "")
    return "; ".join(([model] if several else []) + ([_settings(own)] if own else []))


def _shared(table: Table) -> dict[str, str]:
    first = table.rows[0].changed if table.rows else {}
    return {
        field: value for field, value in first.items() if all(row.changed.get(field) == value for row in table.rows)
    }


def _settings(changed: dict[str, str]) -> str:
    """Write an arm's own fields without the section that they are in."""
    return "; ".join(f"{field.removeprefix('settings.')} {cut(value)}" for field, value in changed.items())


def cut(text: str) -> str:
    """Shorten a text to LONGEST characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
