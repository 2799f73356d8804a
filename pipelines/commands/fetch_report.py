"""fetch-report: the report, here."""

import argparse

from pipelines.api import submission
from pipelines.commands import options
from pipelines.operations import log_transfer

HELP = "bring the report here: one self-contained HTML page"
EPILOG = """\
reads    runs/RUN/report/index.html in the store, by a one-pod Workflow that prints it to its log
writes   work/RUN-report.html, checked by its digest
needs    a run whose report is made (make watch)

example  make fetch-report RUN=imagenet-6x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)


def main(args: argparse.Namespace) -> None:
    cluster = options.connect(args)
    submission.check_chart(cluster, "fetch")
    run = options.existing_run(cluster, args)
    path = log_transfer.save(log_transfer.fetch_object(cluster, run, "report"), f"{run}-report.html")
    print(f"{path}: {path.stat().st_size:,} bytes, digest checked")
