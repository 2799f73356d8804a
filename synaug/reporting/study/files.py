"""Writes all that is drawn of a study. Equal outcomes give equal bytes."""

from pathlib import Path

from synaug.reporting.study import claims
from synaug.reporting.study.figures import figures
from synaug.reporting.study.outcome import StudyOutcome
from synaug.reporting.study.pages import render
from synaug.reporting.svg import standalone

HEADLINE = "headline"


def write(outcome: StudyOutcome, folder: Path) -> list[Path]:
    """results.md, study/figures/*.svg, study/report.html and study/outcome.json below folder; returns what was written.

    study/figures/headline.svg is the figure that opens the README.
    """
    drawn = figures(outcome)
    texts = {
        "results.md": render("results.md", outcome, drawn),
        "study/report.html": render("report.html", outcome, drawn),
        "study/outcome.json": outcome.model_dump_json(indent=1) + "\n",
    }
    texts |= {f"study/figures/{name}.svg": standalone(one.svg) for name, one in drawn.items()}
    first = claims.first_table(outcome)
    if first and (one := drawn.get(f"{first.name}-scale")):
        texts[f"study/figures/{HEADLINE}.svg"] = standalone(one.svg)
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
