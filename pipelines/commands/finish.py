"""`python -m pipelines finish`: the workflow's exit handler."""

import argparse

from pipelines.launcher.jobs import in_this_pod

HELP = "remove the PyTorchJobs of a workflow that ends (its exit handler)"
EPILOG = """\
reads    PyTorchJobs by the label synaug/workflow
writes   nothing; what was trained so far lies in the store
needs    the account synaug-launcher. Runs at the end of every workflow and on `make stop`, not when one is terminated
         or deleted: then the launcher removes the job on SIGTERM, and the garbage collector what is left"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workflow", required=True, metavar="NAME", help="the Workflow that ends")


def main(args: argparse.Namespace) -> None:
    jobs = in_this_pod()
    found = [job["metadata"]["name"] for job in jobs.of(args.workflow)]
    for name in found:
        jobs.delete(name)
    for name in found:
        jobs.remove(name)
        print(f"PyTorchJob {name} removed", flush=True)
    print(
        f"{args.workflow}: {len(found)} PyTorchJobs removed" if found else f"{args.workflow}: no PyTorchJob to remove",
        flush=True,
    )
