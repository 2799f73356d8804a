"""submit: a run as a Workflow."""

import argparse
import sys

from pipelines.api import submission, workflow_request
from pipelines.api.run_reference import make_variables
from pipelines.commands import options
from pipelines.operations import one_pod_workflow
from synaug.errors import UsageError
from synaug.run.forecast import cost_limit_violation
from synaug.run.stages import long_stages

HELP = "plan, show the estimate, then start the run; what is done already is not made again"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, here; what is done, in the cluster
writes   a Workflow named by run and identity. One of that name that has ended is replaced; one that runs is refused
needs    what plan needs. Above limits.cost it asks; YES=1 (--yes) answers

example  make submit CONFIG=run.yaml SCALE=6x
"""
INTERRUPTED = "interrupted before the run was started; make submit again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="spend more than limits.cost without asking")
    options.add_planned(parser)


def main(args: argparse.Namespace) -> None:
    cluster = options.connect(args)
    reference = options.read_reference(args, cluster.target)
    template = submission.check_chart(cluster)
    submission.refuse_live(cluster, reference.run)
    estimate = one_pod_workflow.plan(cluster, reference)
    print(estimate["text"], flush=True)
    confirm(estimate, reference.config.limits.cost, args.yes)
    parameters = {"run": reference.run, "config": reference.text}
    submission.create(cluster, workflow_request.workflow("run", reference.workflow, parameters, reference.run))
    print(f"\nsubmitted {reference.workflow} to namespace {cluster.namespace} of {cluster.target.name}")
    print(f"watch it: make watch {make_variables(cluster, reference.run)}")
    print(f"Argo:     {submission.ui_line(cluster, template, reference.workflow)}")


def confirm(estimate: dict, limit: float | None, yes: bool) -> None:
    """Ask above limits.cost, or where the cost of all that is left is unknown.

    Raises UsageError for a no, and where nobody can be asked.
    """
    whole = estimate["whole"]
    if yes or all(stage["done"] >= stage["total"] for stage in map(estimate["stages"].get, long_stages())):
        return
    why = cost_limit_violation(
        limit, **{name: whole[name] for name in ("price", "cost_at_least", "unmeasured")}, measures="make preview"
    )
    if why is None:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{why}; YES=1 spends it, or raise the limit")
    if input(f"{why}. Start it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError(f"not started: {why}")
