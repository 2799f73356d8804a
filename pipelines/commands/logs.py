"""logs: of one pod, live, or what it left in the store."""

import argparse

from pipelines import names
from pipelines.api import submission
from pipelines.commands import options
from pipelines.operations import logs
from synaug.errors import DataError

HELP = "show a pod's log as it comes; of a pod that is gone, the end that it left in the store"
EPILOG = """\
reads    the log of the stage's newest pod; where there is none, runs/RUN/logs/ in the store by a one-pod Workflow
needs    SHARD=N (with STAGE=prompts for the prompts), or ARM=NAME [SEED=N] (with STAGE=evaluate), or STAGE=plan, index,
         report, finish

example  make logs SHARD=17
         make logs ARM=auxbn-6x SEED=0
"""
INTERRUPTED = "the run goes on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("--shard", type=int, metavar="N", help="class shard")
    parser.add_argument("--arm", metavar="NAME", help="arm")
    parser.add_argument("--seed", type=int, metavar="N", help="training seed (default: 0)")
    parser.add_argument("--stage", metavar="NAME", help="stage (default: images with SHARD, train with ARM)")


def main(args: argparse.Namespace) -> None:
    wanted = logs.stage_unit(args.stage, args.shard, args.arm, args.seed)
    cluster = options.connect(args)
    run = options.run_name(args, cluster.target)
    try:
        workflow = submission.newest_run(cluster, run)
    except DataError:  # deleted: the store may still have it
        if run is None:
            raise
        logs.show_stored(cluster, run, wanted)
        return
    if not logs.show_pod(cluster, workflow, wanted):
        logs.show_stored(cluster, run or workflow["metadata"]["labels"][names.RUN_LABEL], wanted)
