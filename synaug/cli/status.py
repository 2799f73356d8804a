"""`synaug status`: how far a run is.

rich is imported for the table: --help and --json start without it.
"""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from synaug.cli.parser import add_run_argument, add_store_argument
from synaug.data.store import open_store
from synaug.run.job import open_run
from synaug.run.progress import duration, plural
from synaug.run.stages import STAGES, Proof
from synaug.run.status import State, read_state

if TYPE_CHECKING:
    from rich.table import Table

HELP = "show what is done, left and rejected, the rate and the time left of every stage"
EPILOG = """\
reads    the run's plan, manifests and timing in the store
writes   nothing
needs    a planned run

example  synaug status --store ./store --run first
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store_argument(parser)
    add_run_argument(parser)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="workers that the time left is estimated for (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, seconds and units a second")


def main(args: argparse.Namespace) -> None:
    """Print how far a run is. Raises DataError for a run that is not planned."""
    store = open_store(args.store)
    state = read_state(store, args.run, *open_run(store, args.run))
    if args.json:
        print(json.dumps(as_dict(state, args.workers), indent=1))
        return
    from rich.console import Console

    Console().print(table(state, args.workers))


def as_dict(state: State, workers: int = 1) -> dict[str, Any]:
    """Return what --json prints; seconds_left of so many workers."""
    stages = {
        name: {
            "unit": stage.unit,
            "done": stage.done,
            "total": stage.total,
            "left": stage.left,
            "rejected": stage.rejected,
            "lost": stage.lost,
            "rate": stage.rate,
            "seconds": stage.seconds,
            "seconds_left": stage.seconds_left(workers),
        }
        for name, stage in state.stages.items()
    }
    llm = {"llm": {"tokens": asdict(state.tokens), "text": state.llm}} if state.tokens else {}
    return {"run": state.run, "scale": state.scale, "finished": state.finished, "stages": stages} | llm


def table(state: State, workers: int = 1) -> "Table":
    """Return what a person sees, one row per stage."""
    from rich.table import Table

    shown = Table(title=f"run {state.run}, scale {state.scale}x", title_justify="left", box=None, pad_edge=False)
    if state.llm:
        shown.caption, shown.caption_justify = state.llm, "left"
    for column in ("stage", "done", "left", "rejected", "rate", "time left"):
        shown.add_column(column, justify="left" if column == "stage" else "right")
    for name, stage in state.stages.items():
        rate = f"{stage.rate:.3g} {plural(stage.unit)}/s" if stage.rate else ""
        rejects = f"{stage.rejected}" + (f" ({stage.lost} lost)" if stage.lost else "")
        rejected = rejects if STAGES[name].proof is Proof.MANIFESTS else ""
        left = duration(stage.seconds_left(workers)) if stage.left else ""
        shown.add_row(
            name, f"{stage.done:,}/{stage.total:,} {plural(stage.unit)}", f"{stage.left:,}", rejected, rate, left
        )
    return shown
