"""results.md and the study's page: the outcome put into their templates."""

import jinja2

from synaug.reporting.drawing import Figure
from synaug.reporting.wording import brief, capital, change, count, duration, interval, listed, points, signed, verdict
from synaug.study.drawing import diagnostics, labels, statements
from synaug.study.outcome import Outcome

LONGEST = 90  # characters of a changed setting in results.md; the page has all of it


def render(template: str, outcome: Outcome, drawn: dict[str, Figure]) -> str:
    """template: results.md or report.html."""
    packages = ("synaug.study.drawing", "synaug.reporting")
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates") for package in packages]),
        autoescape=template.endswith(".html"), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "points": points, "signed": signed, "interval": interval, "change": change, "brief": brief, "duration": duration, "listed": listed,
        "verdict": verdict, "capital": capital, "cell": cell, "cut": cut, "unbroken": unbroken,
    }  # fmt: skip
    environment.globals |= {"count": count}
    return environment.get_template(template).render(
        outcome=outcome, drawn=drawn, label=labels, tell=statements, first=statements.first_table(outcome), domains=labels.DOMAINS,
        diagnoses={run: diagnostics.panels(found) for run, found in outcome.diagnostics.items()},
        command=f"synaug study {' '.join(f'docs/study/{file}' for file in outcome.files)} --store work/study --out docs",
    )  # fmt: skip


def cell(text: str) -> str:
    """For a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def unbroken(text: str) -> str:
    """An interval stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
