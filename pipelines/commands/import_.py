"""import: labelled images into the store, from inside the cluster."""

import argparse
from pathlib import Path

from pipelines import names
from pipelines.api import submission, workflow_request
from pipelines.commands import options
from pipelines.operations import one_pod_workflow
from synaug.data.classes import IMAGENET, read_classes
from synaug.errors import UsageError

HELP = "register labelled images in the store, from inside the cluster"
EPILOG = """\
SOURCE   WebDataset tars that pods can reach: 's3://bucket/train-{0000..1023}.tar'; they are scanned and referenced, not
         copied; or the word `embedded`: the small real data sets that come with synaug
writes   real/SPLIT-*.json and real/SPLIT.json in the chart's store, by a one-pod Workflow
needs    the chart installed; rights of its store identity on SOURCE. CLASSES (a YAML file here, or imagenet-1k) names
         the labels

example  make import SOURCE='s3://imagenet/train-{0000..1023}.tar' CLASSES=imagenet-1k
         make import SOURCE='s3://imagenet/val-{00..49}.tar' SPLIT=val CLASSES=imagenet-1k
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE")
    options.add_cluster(parser)
    parser.add_argument("--split", default="train", metavar="NAME", help="name of the split (default: train)")
    parser.add_argument(
        "--classes", metavar="FILE", help="class list that labels are checked against: a YAML file, or imagenet-1k"
    )
    parser.add_argument("--labels", action="store_true", help="labels are integers, positions in the class list")


def main(args: argparse.Namespace) -> None:
    check_source(args.source)
    classes = class_list(args.classes)
    cluster = options.connect(args)
    submission.check_chart(cluster, "import")
    name = names.import_workflow(args.split if args.source != "embedded" else "embedded")
    parameters = {
        "source": args.source,
        "split": args.split,
        "classes": classes,
        "labels": "labels" if args.labels else "no-labels",
    }
    one_pod_workflow.note(f"importing {args.source} in the cluster ({name}) ...")
    one_pod_workflow.run(cluster, workflow_request.workflow("import", name, parameters), replace_live=False)
    split = "" if args.source == "embedded" else f" as split {args.split}"
    print(f"imported {args.source}{split}; next: make preview, make plan")


def check_source(source: str) -> None:
    """Raise UsageError for a source that no pod can read."""
    if not source:
        raise UsageError("SOURCE is missing: give SOURCE='s3://bucket/train-{0000..1023}.tar', or SOURCE=embedded")
    if source != "embedded" and "://" not in source:
        raise UsageError(
            f"pods cannot see {source!r}: bring it into the object store as WebDataset tars, then give "
            "SOURCE='s3://bucket/train-{0000..1023}.tar'"
        )


def class_list(classes: str | None) -> str:
    """Read the text of a class list, checked here; `imagenet-1k` stays a word. Raises UsageError."""
    if classes is None or classes == IMAGENET:
        return classes or ""
    read_classes(classes)
    return Path(classes).read_text()
