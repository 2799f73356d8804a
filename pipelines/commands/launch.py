"""`python -m pipelines launch`: one arm as a PyTorchJob, from start to published model."""

import argparse
import signal
from pathlib import Path
from types import FrameType

import yaml

from pipelines.launcher.jobs import in_this_pod
from pipelines.launcher.launcher import Launcher
from pipelines.workflow import training_job
from synaug.errors import TERMINATED, DataError

HELP = "train one arm as a PyTorchJob, and stay until its model is in the store"
EPILOG = """\
reads    the job's base (--job, from the chart), the run's plan, runs/NAME/train/ARM/SEED/ in the store
writes   one PyTorchJob, which goes with the Workflow; Argo's progress
needs    the account synaug-launcher; people use `make submit`

A second launcher of a workflow takes over the job that it finds at work; a finished, failed or foreign one is
removed first. SIGTERM removes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, metavar="URL", help="s3://bucket/prefix")
    parser.add_argument("--run", required=True, metavar="NAME", help="name of the run")
    parser.add_argument("--arm", required=True, metavar="NAME", help="arm of the run")
    parser.add_argument("--seed", required=True, type=int, metavar="N", help="training seed")
    parser.add_argument("--workflow", required=True, metavar="NAME", help="the Workflow that this pod belongs to")
    parser.add_argument("--uid", required=True, metavar="UID", help="its uid")
    parser.add_argument("--job", required=True, metavar="FILE", help="the PyTorchJob's base, as YAML")


def main(args: argparse.Namespace) -> None:
    """Train the arm. Raises what the training ended with, as pipelines.launcher.verdict decides."""
    training = {"store": args.store, "run": args.run, "arm": args.arm, "seed": args.seed, "uid": args.uid}
    try:
        job = training_job.job(yaml.safe_load(Path(args.job).read_text()), workflow=args.workflow, **training)
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"--job {args.job}: no PyTorchJob to start from ({reason}); the chart mounts it: helm upgrade synaug"
        ) from error
    launcher = Launcher(in_this_pod(), job, **training)
    signal.signal(signal.SIGTERM, _stop)
    launcher.train()


def _stop(signum: int, frame: FrameType | None) -> None:
    """Leave whatever the launcher waits for. Once: the job's removal is not to be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)
