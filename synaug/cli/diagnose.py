"""`synaug diagnose`: what the images of a run are like, and where AuxBN keeps them apart.

rich and the diagnostics, which need torch, are imported when they are made: --help starts without them.
"""

import argparse

from synaug.cli.parser import add_override_arguments, add_run_argument, add_store_argument
from synaug.data import layout
from synaug.run.job import open_job
from synaug.run.progress import LineReporter
from synaug.runner.log_tail import LogTail, beat_on_report, end_if_stalled, log_tail_on_failure

HELP = "explain a result: fidelity and diversity of the images, main against auxiliary batch norms"
EPILOG = """\
reads    the run's index and tars, real images, a classifier trained on real images, CLIP; auxbn arms where trained
writes   runs/RUN/diagnostics/: fidelity.json, coverage.json, branches.json; what is there and still holds is left
needs    `index`, and a trained real arm of this run or, by --classifier, of another one in the store

fidelity    top-1 of the real-trained classifier on synthetic images, by prompt kind
coverage    precision, recall, density and coverage of synthetic against real images (k = 5) in each feature space,
            within the classes and over all; every row has the same number of images, and `real` is real against other
            real images: the bound
branches    by layer, how far running statistics and affine parameters of main and auxiliary batch norms are apart

example  synaug diagnose --store ./store --run demo
         synaug diagnose --store ./store --run demo --classifier other/real/0 --reference dev --features clip
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from synaug.evaluation.diagnostics.schema import IMAGES

    add_store_argument(parser)
    add_run_argument(parser, "name of an indexed run")
    parser.add_argument(
        "--classifier", metavar="RUN/ARM[/SEED]", help="trained on real images (default: the run's first real arm)"
    )
    parser.add_argument(
        "--reference", metavar="SPLIT", help="real images to compare with (default: the run's training images)"
    )
    spaces = "clip, classifier (its features) or timm:NAME; repeat for more (default: clip and classifier)"
    parser.add_argument("--features", action="append", metavar="SPACE", help=spaces)
    parser.add_argument(
        "--images", type=int, default=IMAGES, metavar="N", help=f"most images of each class and set (default: {IMAGES})"
    )
    add_override_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Write what is missing of the diagnostics and print all of it. Raises what `diagnose` raises."""
    from rich.console import Console

    from synaug.evaluation.diagnostics.diagnose import diagnose
    from synaug.evaluation.diagnostics.features import DEFAULT
    from synaug.reporting.diagnostics_tables import tables

    tail = LogTail("diagnose", args.store, layout.log(args.run, "diagnose", "all"), beside=layout.plan(args.run))
    with log_tail_on_failure(tail):
        job = open_job(args.store, args.run, overrides=args.overrides, report=beat_on_report(LineReporter()))
        with end_if_stalled(job.config.compute.stall_minutes, tail):
            found = diagnose(
                job,
                classifier=args.classifier,
                reference=args.reference,
                features=args.features or DEFAULT,
                images=args.images,
            )
    console = Console()
    for table in tables(found):
        console.print(table, "")
