"""results.md and the study's page: the outcome put into their templates."""

import jinja2

from synaug.evaluation.diagnostics.schema import Findings, seed_mean
from synaug.reporting.batch_norm_figures import branch_figures
from synaug.reporting.formatting import MINUS, brief, count, duration, interval, points, signed, verdict
from synaug.reporting.study import claims, labels
from synaug.reporting.study.outcome import StudyOutcome
from synaug.reporting.svg import Figure


def render(template: str, outcome: StudyOutcome, drawn: dict[str, Figure]) -> str:
    """template: results.md or report.html."""
    packages = ("synaug.reporting.study", "synaug.reporting")
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates") for package in packages]),
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "points": points,
        "signed": signed,
        "interval": interval,
        "brief": brief,
        "duration": duration,
        "verdict": verdict,
        "cell": cell,
        "cut": labels.cut,
        "decimal": decimal,
        "unbroken": unbroken,
    }
    environment.globals |= {"count": count}
    return environment.get_template(template).render(
        outcome=outcome,
        drawn=drawn,
        label=labels,
        tell=claims,
        first=claims.first_table(outcome),
        domains=labels.DOMAINS,
        diagnoses=_diagnoses(outcome),
        seed_mean=seed_mean,
        command=f"synaug study {' '.join(f'docs/study/{file}' for file in outcome.files)} --store work/study --out work/study-results",
    )


def _diagnoses(outcome: StudyOutcome) -> dict[str, tuple[Findings, list[Figure]]]:
    """Of each run, and the figures of its branches."""
    found = {run: Findings.model_validate(its) for run, its in outcome.diagnostics.items()}
    return {run: (its, branch_figures(its.branches, 100 + 10 * n)) for n, (run, its) in enumerate(found.items())}


def cell(text: str) -> str:
    """For a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def decimal(value: float) -> str:
    return f"{value:.2f}".replace("-", MINUS)


def unbroken(text: str) -> str:
    """An interval stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")
