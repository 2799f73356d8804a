"""One self-contained HTML page about a run, also about a part of one.

The page's libraries are imported when one is made: the command line names every stage without them.
"""

import argparse
import json
import time

from synaug.data import layout
from synaug.run.job import Job, Progress

HELP = "write the report, one self-contained HTML page"
EPILOG = """\
reads    everything of the run that is there: plan, prompts, manifests, trainings, evaluations, timings; some images
writes   runs/RUN/report/index.html, which opens without network; it replaces the one before
needs    a planned run; what is not done yet is left out, and the page says so
example  synaug report --store ./store --run demo
         synaug report --store ./store --run demo --join senses-off   (results of a second run beside these)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--join", action="append", default=[], metavar="RUN", help="show this run's results beside; repeat for more"
    )


def run(job: Job) -> None:
    """Write the page. Raises DataError where a run to join cannot be joined, or an image cannot be read."""
    from synaug.reporting.report.data import gather
    from synaug.reporting.report.page import render

    started = time.monotonic()
    data = gather(job.store, job.run, job.config, job.plan, join=job.join)
    job.report(Progress("report", "report", 0, 1, "report"))
    job.store.put(layout.report(job.run), render(data).encode())
    job.report(Progress("report", "report", 1, 1, "report"))
    timing = {"seconds": round(time.monotonic() - started, 3), "phases": {}, "rate": None}
    job.store.put(layout.timing(job.run, "report", "all"), json.dumps(timing).encode())
