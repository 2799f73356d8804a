"""study: several runs and the comparisons of their arms, from the estimate to the page."""

import argparse
from pathlib import Path

from synaug.store import add_store_argument

HELP = "several runs and what their arms show beside each other: tables, figures, a page"
EPILOG = """\
reads    the study's files (runs, arms, comparisons), the imported images in the store
writes   runs/NAME/ of each run in the store; results.md, study/outcome.json, study/figures/ and study/report.html in --out
needs    what `run` needs

First every run is planned and its time told (what `synaug preview` measured of one serves all); arms that cannot be compared are refused before anything is spent. Stop it at any
moment and start it again: it goes on. --plan ends after the estimate; --draw only draws what is there.

example  synaug study docs/study/headline.yaml --store work/study --out docs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="docs/study/NAME.yaml (several are one study), and execution settings as FIELD=VALUE"
    )  # fmt: skip
    add_store_argument(parser)
    parser.add_argument("--only", metavar="A,B", help="do these runs, draw nothing")
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="FOLDER", help="where results are written (default: docs)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="plan and estimate, then stop")
    only.add_argument("--draw", action="store_true", help="draw what the store holds; a missing run is named")


def main(args: argparse.Namespace) -> None:
    from synaug.store import open_store
    from synaug.study.comparable import check_comparable
    from synaug.study.file import load_study

    files = [Path(given) for given in args.files if "=" not in given]
    overrides = [given for given in args.files if "=" in given]
    study = load_study(files)
    check_comparable(study)
    runs = _chosen(args.only, list(study.configs))
    store = open_store(args.store)
    if not args.draw:
        _plan(store, study, runs)
        if args.plan:
            return
        for run in runs:
            _do(args.store, run, overrides)
        for run in study.diagnose:
            if run in runs:
                _diagnose(args.store, run, study.configs[run].oracle, overrides)
    if not args.only:
        _draw(args, store, study)


def _chosen(only: str | None, runs: list[str]) -> list[str]:
    from synaug.errors import UsageError

    chosen = [run.strip() for run in only.split(",")] if only else runs
    for run in chosen:
        if run not in runs:
            raise UsageError(f"--only {run}: the study has no such run; its runs are {', '.join(runs)}")
    return chosen


def _plan(store, study, runs: list[str]) -> None:
    """Plans every run, and tells what is left and how long it takes."""
    from synaug.stages.plan import make_plan
    from synaug.study.estimate import forecasts, lines

    for run in runs:
        _, notes = make_plan(store, run, study.configs[run])
        for note in notes:
            print(f"{run}: {note}")
    print("\n".join(lines(forecasts(store, runs))), flush=True)


def _do(store_url: str, run: str, overrides: list[str]) -> None:
    from synaug.commands.run import Failed
    from synaug.local import run_locally
    from synaug.local_display import Display

    outcome = run_locally(store_url, run, overrides=overrides, display=Display())
    if outcome.failures:
        raise Failed(outcome.failures)


def _diagnose(store_url: str, run: str, reference: str | None, overrides: list[str]) -> None:
    """Against the oracle's photos where there are some: they are more than the training images."""
    from synaug.diagnostics.diagnosis import diagnose
    from synaug.job import open_job
    from synaug.progress import LineReporter

    diagnose(open_job(store_url, run, overrides=overrides, report=LineReporter()), reference=reference)


def _draw(args: argparse.Namespace, store, study) -> None:
    from synaug import machine
    from synaug.study.drawing.files import write
    from synaug.study.measure import outcome

    versions = {name: version for name, version in machine.versions().items() if version}
    found = outcome(store, study, machine=machine.sentence(), versions=versions)
    for path in write(found, args.out):
        print(path)
