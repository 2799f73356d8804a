"""All files that are written of a study: results.md, its page, its figures. Equal outcomes give equal bytes."""

from dataclasses import dataclass
from pathlib import Path

import jinja2

from synaug.evaluation.diagnostics.schema import Findings, seed_mean
from synaug.reporting.batch_norm_figures import branch_figures
from synaug.reporting.formatting import MINUS, brief, count, interval, points, signed, verdict
from synaug.reporting.study import claims, labels
from synaug.reporting.study.figures import figures
from synaug.reporting.study.outcome import StudyOutcome
from synaug.reporting.svg import Figure, standalone
from synaug.run.progress import duration

HEADLINE = "headline"
TEMPLATES = ("synaug.reporting.study", "synaug.reporting")  # packages


@dataclass(frozen=True)
class Diagnosis:
    """What `synaug diagnose` found of a run, and its figures."""

    findings: Findings
    branch_figures: list[Figure]


def write(outcome: StudyOutcome, folder: Path) -> list[Path]:
    """Write all files of a study below a folder, and return their paths.

    results.md, study/report.html, study/outcome.json and study/figures/*.svg, of which headline.svg opens the README.
    Figures of comparisons that the study has no more are deleted.
    """
    drawn = figures(outcome)
    texts = {
        "results.md": render("results.md", outcome, drawn),
        "study/report.html": render("report.html", outcome, drawn),
        "study/outcome.json": outcome.model_dump_json(indent=1) + "\n",
    }
    texts |= {f"study/figures/{name}.svg": standalone(figure.svg) for name, figure in drawn.items()}
    first = claims.first_table(outcome)
    if first and (figure := drawn.get(f"{first.name}-scale")):
        texts[f"study/figures/{HEADLINE}.svg"] = standalone(figure.svg)
    for old in (folder / "study" / "figures").glob("*.svg"):  # of a comparison that has another name now
        if f"study/figures/{old.name}" not in texts:
            old.unlink()
    written = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written


def render(template: str, outcome: StudyOutcome, drawn: dict[str, Figure]) -> str:
    """Put the outcome into a template, results.md or report.html."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates") for package in TEMPLATES]),
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
    files = " ".join(f"docs/study/{file}" for file in outcome.files)
    return environment.get_template(template).render(
        outcome=outcome,
        drawn=drawn,
        labels=labels,
        claims=claims,
        first=claims.first_table(outcome),
        domains=labels.DOMAINS,
        diagnoses=_diagnoses(outcome),
        seed_mean=seed_mean,
        command=f"synaug study {files} --store work/study --out work/study-results",
    )


def _diagnoses(outcome: StudyOutcome) -> dict[str, Diagnosis]:
    findings = {run: Findings.model_validate(of_run) for run, of_run in outcome.diagnostics.items()}
    return {
        run: Diagnosis(of_run, branch_figures(of_run.branches, 100 + 10 * n))
        for n, (run, of_run) in enumerate(findings.items())
    }


def cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def decimal(value: float) -> str:
    """Write a number with two decimals and a typographic minus."""
    return f"{value:.2f}".replace("-", MINUS)


def unbroken(text: str) -> str:
    """Keep a text, such as an interval, on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")
