"""watch: a run as it goes."""

import argparse

from pipelines.api import submission
from pipelines.commands import options
from pipelines.operations import watch

HELP = "show a run as it goes: counts, rates, time left, cost, what waits and why, each failure and its fix"
EPILOG = """\
reads    the run's Workflow, its pods, their events and the launcher's log, by the Kubernetes API
writes   nothing. Lines at a rhythm where the output is no terminal
needs    a submitted run; RUN=NAME, else the configuration's name, else the newest
exit     0 when the run has succeeded, else the code of the stage that failed (2, 3, 4, 137, 170, ...); 130 on Ctrl-C:
         the run goes on

example  make watch RUN=imagenet-6x
"""
INTERRUPTED = "the run goes on; make watch shows it again, make stop stops it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument(
        "--once", action="store_true", help="show it once and end: 0 while it runs or when it has succeeded"
    )


def main(args: argparse.Namespace) -> None:
    cluster = options.connect(args)
    workflow = submission.newest_run(cluster, options.run_name(args, cluster.target))
    if args.once:
        watch.once(cluster, workflow)
    else:
        watch.watch(cluster, workflow["metadata"]["name"])
