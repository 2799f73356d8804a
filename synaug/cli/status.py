"""status: how far a run is."""

import argparse
import json

from synaug.data.store import add_store_argument, open_store
from synaug.run.job import open_run
from synaug.run.status import State, read_state

HELP = "show what is done, left and rejected, the rate and the time left of every stage"
EPILOG = """\
reads    the run's plan, manifests and timing in the store
writes   nothing
needs    a planned run

example  synaug status --store ./store --run first
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store_argument(parser)
    parser.add_argument("--run", required=True, metavar="NAME", help="name of a planned run")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="workers that the time left reckons with (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, seconds and units a second")


def main(args: argparse.Namespace) -> None:
    store = open_store(args.store)
    state = read_state(store, args.run, *open_run(store, args.run))
    if args.json:
        print(json.dumps(as_dict(state, args.workers), indent=1))
        return
    from rich.console import Console

    Console().print(table(state, args.workers))


def as_dict(state: State, workers: int = 1) -> dict:
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
    return {"run": state.run, "scale": state.scale, "finished": state.finished, "stages": stages}


def table(state: State, workers: int = 1):
    """A rich table, a row a stage."""
    from rich.table import Table

    from synaug.run.progress import duration, plural

    shown = Table(title=f"run {state.run}, scale {state.scale}x", title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "done", "left", "rejected", "rate", "time left"):
        shown.add_column(column, justify="left" if column == "stage" else "right")
    for name, stage in state.stages.items():
        rate = f"{stage.rate:.3g} {plural(stage.unit)}/s" if stage.rate else ""
        rejected = f"{stage.rejected}" + (f" ({stage.lost} lost)" if stage.lost else "") if name == "images" else ""
        left = duration(stage.seconds_left(workers)) if stage.left else ""
        shown.add_row(
            name, f"{stage.done:,}/{stage.total:,} {plural(stage.unit)}", f"{stage.left:,}", rejected, rate, left
        )
    return shown
