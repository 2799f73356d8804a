"""preview: a contact sheet and the rate, before anything is spent."""

import argparse

from pipelines import names
from pipelines.api import submission, workflow_request
from pipelines.commands import options
from pipelines.operations import log_transfer, one_pod_workflow
from pipelines.status import argo_nodes
from synaug.errors import UsageError

HELP = "make a few images in one GPU pod: a contact sheet to look at, and the rate that the estimate needs"
EPILOG = """\
reads    run.yaml (or a preset), here; in the cluster the real images and the models
writes   work/RUN-preview.png here; runs/RUN/preview/ and the measured rate in the cluster: settings may still change
needs    the chart installed, the real images imported (make import), a GPU

example  make preview CONFIG=run.yaml IMAGES=20
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=20, metavar="N", help="synthetic images in all (default: 20)")
    options.add_planned(parser)


def main(args: argparse.Namespace) -> None:
    if args.images < 1:
        raise UsageError(f"IMAGES={args.images}: give 1 or more")
    cluster = options.connect(args)
    reference = options.read_reference(args, cluster.target)
    submission.check_chart(cluster, "preview")
    submission.refuse_live(cluster, reference.run)
    name = names.helper_workflow(reference.workflow, "preview")
    parameters = {"run": reference.run, "config": reference.text, "images": str(args.images)}
    one_pod_workflow.note(f"making {args.images} images in the cluster ({name}) ...")
    workflow = one_pod_workflow.run(
        cluster, workflow_request.workflow("preview", name, parameters, reference.run), replace_live=False
    )
    measured = argo_nodes.output(workflow, "preview", "rate")
    if measured:
        print(
            f"{measured['rate']:.3g} images/s on {measured['device']}, {measured['bytes_per_image']:,} bytes an image"
        )
    path = log_transfer.save(
        log_transfer.fetch_object(cluster, reference.run, "preview"), f"{reference.run}-preview.png"
    )
    print(f"{path}: look at it; next: make plan, make submit")
