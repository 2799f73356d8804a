"""plan: what a run will take."""

import argparse

from pipelines.api import submission
from pipelines.commands import options
from pipelines.operations import one_pod_workflow

HELP = "show what a run will take: images, bytes, GPU-hours, wall time, cost; spends nothing else"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, here; in the cluster the real images' table and what is
         done
writes   in the cluster: runs/RUN/run.yaml and plan.json, by a one-pod Workflow that ends in -plan
needs    the chart installed, the real images imported (make import); for hours and cost a rate: make preview, or
         compute.rate

example  make plan CONFIG=run.yaml SCALE=6x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_planned(parser)


def main(args: argparse.Namespace) -> None:
    cluster = options.connect(args)
    reference = options.read_reference(args, cluster.target)
    submission.check_chart(cluster, "plan")
    submission.refuse_live(cluster, reference.run)
    print(one_pod_workflow.plan(cluster, reference)["text"])
