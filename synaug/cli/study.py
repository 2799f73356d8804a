"""`synaug study`: several runs and the comparisons of their arms, from the estimate to the page.

Runner, display, statistics and figures (torch, rich, numpy, matplotlib) are imported when they are needed: --help
starts without them.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from synaug.cli import preview
from synaug.cli.parser import add_store_argument
from synaug.cli.run import Failed, refuse_cost
from synaug.data import layout
from synaug.data.store import Store, open_store
from synaug.errors import UsageError
from synaug.run.job import open_job, refuse_planned
from synaug.run.progress import LineReporter
from synaug.stages.plan import make_plan

if TYPE_CHECKING:
    from synaug.reporting.study.definition import Study

HELP = "several runs and what their arms show beside each other: tables, figures, a page"
EPILOG = """\
reads    the study's files (runs, arms, comparisons), the imported images in the store
writes   runs/NAME/ of each run in the store; in --out results.md, study/outcome.json, study/figures/, study/report.html
needs    what `run` needs

First every run is planned and its time forecast, as far as `synaug preview` has measured such settings (--preview
measures what is missing); arms that cannot be compared are refused before anything is spent. Stop it at any moment and
start it again: it goes on. --plan ends after the estimate; --draw only draws what is there.

example  synaug study docs/study/headline.yaml --store work/study --out work/study-results
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="docs/study/NAME.yaml (several are one study), and execution settings as FIELD=VALUE",
    )
    add_store_argument(parser)
    parser.add_argument("--only", metavar="A,B", help="do these runs, draw nothing")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("study-results"),
        metavar="FOLDER",
        help="where results are written (default: study-results)",
    )
    parser.add_argument("--preview", action="store_true", help="first measure every run whose time is not known")
    parser.add_argument("--yes", action="store_true", help="spend more than a run's limits.cost without asking")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="plan and estimate, then stop")
    only.add_argument("--draw", action="store_true", help="draw what the store holds; a missing run is named")


def main(args: argparse.Namespace) -> None:
    """Do a study. Raises UsageError for a wrong file, arms that cannot be compared, or a run beyond its limits.cost."""
    from synaug.reporting.study.comparability import check_comparable
    from synaug.reporting.study.definition import load_study

    files = [Path(text) for text in args.files if "=" not in text]
    overrides = [text for text in args.files if "=" in text]
    if args.draw and args.only:
        raise UsageError("--draw draws the whole study, --only does some of its runs: give one of them")
    refuse_planned(overrides)
    study = load_study(files)
    check_comparable(study)
    runs = _chosen(args.only, list(study.configs))
    store = open_store(args.store)
    if not args.draw:
        _plan(store, study, runs)
        if args.preview:
            _preview(store, runs, overrides)
        _tell(store, study, runs)
        if args.plan:
            return
        _do(args, store, runs, overrides)
        for run in study.diagnose:
            if run in runs:
                _diagnose(args.store, run, overrides)
    if not args.only:
        _draw(args.out, store, study)


def _chosen(only: str | None, runs: list[str]) -> list[str]:
    chosen = [run.strip() for run in only.split(",")] if only else runs
    for run in chosen:
        if run not in runs:
            raise UsageError(f"--only {run}: the study has no such run; its runs are {', '.join(runs)}")
    return chosen


def _plan(store: Store, study: "Study", runs: list[str]) -> None:
    for run in runs:
        _, notes = make_plan(store, run, study.configs[run])
        for note in notes:
            print(f"{run}: {note}")


def _preview(store: Store, runs: list[str], overrides: list[str]) -> None:
    """One after another: what one measured may serve the next."""
    from synaug.reporting.study.forecast import forecast_of

    for run in runs:
        if forecast_of(store, run, runs).unmeasured:
            print(f"preview of {run}")
            preview.main(argparse.Namespace(store=store.url, run=run, images=20, classes=None, overrides=overrides))


def _tell(store: Store, study: "Study", runs: list[str]) -> None:
    from synaug.reporting.study.forecast import forecasts, lines

    planned = [run for run in study.configs if store.exists(layout.plan(run))]
    by_run = forecasts(store, planned)
    print("\n".join(lines({run: by_run[run] for run in runs})), flush=True)


def _do(args: argparse.Namespace, store: Store, runs: list[str], overrides: list[str]) -> None:
    from synaug.reporting.study.machine import record
    from synaug.runner.display import Display
    from synaug.runner.local_executor import run_locally

    if not args.yes:
        for run in runs:
            refuse_cost(open_job(args.store, run, overrides=overrides))
    for run in runs:
        outcome = run_locally(args.store, run, overrides=overrides, display=Display())
        if outcome.clock.seconds:
            record(store, run)
        if outcome.failures:
            raise Failed(outcome.failures)


def _diagnose(store_url: str, run: str, overrides: list[str]) -> None:
    """Against test photos in domain: neither the generator nor the classifier has seen them."""
    from synaug.evaluation.diagnostics.diagnose import diagnose

    job = open_job(store_url, run, overrides=overrides, report=LineReporter())
    diagnose(job, reference=next((test.split for test in job.config.tests.values() if test.domain == "in"), None))


def _draw(folder: Path, store: Store, study: "Study") -> None:
    from synaug.reporting.study.compute import outcome
    from synaug.reporting.study.files import write

    for path in write(outcome(store, study), folder):
        print(path)
