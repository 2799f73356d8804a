"""Runs the benchmarks, prints a table and writes bench-results/{hardware}-torch-{version}-{time}.json.

The file is written again after each benchmark. Exit code 0: every target is met; 3: one is not, named on stderr.
"""

import argparse
import datetime
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from slugify import slugify

from synaug.errors import describe
from synaug.run import environment
from tests.benchmarks import NAMES
from tests.benchmarks.result import NOT_YET, Result

RESULTS, RECORDS = Path("bench-results"), Path("docs/bench")
# One torch thread, and glibc keeps large blocks: as the local runner starts its workers (synaug/runner/worker_pool.py).
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912",
    "TOKENIZERS_PARALLELISM": "false",
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}; default: all"
    )
    parser.add_argument(
        "--record",
        nargs="?",
        const="",
        metavar="HARDWARE",
        help="also write docs/bench/{HARDWARE}.json, to be committed, like `2 vCPU EPYC`; "
        "without a name as in bench-results/",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks; returns the exit code."""
    chosen, console = parse(arguments), Console(width=None if sys.stdout.isatty() else 140)
    begun = datetime.datetime.now(datetime.UTC)
    about: dict[str, Any] = {
        "begun": begun.isoformat(timespec="seconds"),
        "hardware": environment.hardware(),
        "versions": environment.versions(),
        "load before": [round(load, 2) for load in os.getloadavg()],
    }
    results: list[Result] = []
    seconds: dict[str, float] = {}
    paths = name_files(chosen, begun, about)
    for name in chosen.only:
        console.print(f"{name} ...", style="dim")
        start = time.perf_counter()
        try:
            results += importlib.import_module(f"tests.benchmarks.{name}").run()
        except Exception as error:
            traceback.print_exc()
            code, line = describe(error)
            print(f"benchmark {name} broke off: {line}", file=sys.stderr)
            return code
        seconds[name] = round(time.perf_counter() - start, 1)
        about |= {"load after": [round(load, 2) for load in os.getloadavg()], "seconds": seconds}
        text = json.dumps(about | {"results": [result.to_dict() for result in results]}, indent=1) + "\n"
        for path in paths:  # each time: a lent machine may be gone before the last
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    console.print(draw_table(results, about))
    print(f"written: {', '.join(map(str, paths))} ({sum(seconds.values()):.0f} s)")
    failed = [result for result in results if result.met is False]
    for result in failed:
        print(
            f"target missed: {result.name} is {result.value:.3f} {result.unit}, {result.target} is asked for",
            file=sys.stderr,
        )
    return 3 if failed else 0


def name_files(chosen: argparse.Namespace, begun: datetime.datetime, about: dict[str, Any]) -> list[Path]:
    """Name the files that the figures go to.

    The machine's own name says its hardware, torch's version and, where not all ran, the benchmarks.
    """
    hardware = about["hardware"]
    what = (
        f"{len(hardware['gpus'])}x {hardware['gpus'][0]}"
        if hardware["gpus"]
        else f"{hardware['cores']} cores {hardware['cpu']}"
    )
    some = "" if tuple(chosen.only) == NAMES else " ".join(chosen.only)
    own = slugify(f"{what} torch {about['versions']['torch']} {some}")
    paths = [RESULTS / f"{own}-{begun:%Y%m%d-%H%M%S}.json"]
    return paths if chosen.record is None else [*paths, RECORDS / f"{slugify(chosen.record) or own}.json"]


def draw_table(results: list[Result], about: dict[str, Any]) -> Table:
    """Draw the figures, a row each."""
    hardware = about["hardware"]
    where = ", ".join([*hardware["gpus"], f"{hardware['cores']} cores of {hardware['cpu']}"])
    table = Table(
        title=f"{where}; load {about['load before'][0]} before, {about['load after'][0]} after", title_justify="left"
    )
    table.add_column("benchmark")
    for column in ("median", "lowest", "highest"):
        table.add_column(column, justify="right")
    for column in ("unit", "target", ""):
        table.add_column(column)
    colours = {"pass": "green", "FAIL": "bold red", "reported": "dim", NOT_YET: "yellow"}
    for result in results:
        lowest, highest = min(result.values, default=None), max(result.values, default=None)
        figures = ("" if value is None else f"{value:.3f}" for value in (result.value, lowest, highest))
        table.add_row(
            result.name, *figures, result.unit, result.target, f"[{colours[result.verdict]}]{result.verdict}[/]"
        )
    return table


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        # glibc and OpenMP read them at the start
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks", *sys.argv[1:]], os.environ | ENVIRONMENT)
    sys.exit(main())
