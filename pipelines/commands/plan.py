"""plan: what a run will take."""

import argparse

HELP = "show what a run will take: images, bytes, GPU-hours, wall time, cost; spends nothing else"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, here; in the cluster the real images' table and what is done
writes   in the cluster: runs/RUN/run.yaml and plan.json, by a one-pod Workflow that ends in -plan
needs    the chart installed, the real images imported (make import); for hours and cost a rate: make preview, or compute.rate

example  make plan CONFIG=run.yaml SCALE=6x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipelines.commands.options import add_planned

    add_planned(parser)


def main(args: argparse.Namespace) -> None:
    from pipelines.api import submission
    from pipelines.commands import options
    from pipelines.operations import planning

    cluster = options.connect(args)
    job = options.read_job(args, cluster.target)
    submission.check_chart(cluster, "plan")
    submission.refuse_live(cluster, job.run)
    print(planning.plan(cluster, job)["text"])
