"""submit: a run as a Workflow."""

import argparse
import sys

HELP = "plan, show the estimate, then start the run; what is done already is not made again"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, here; what is done, in the cluster
writes   a Workflow named by run and identity. One of that name that has ended is replaced; one that runs is refused
needs    what plan needs. Above limits.cost it asks; YES=1 (--yes) answers

example  make submit CONFIG=run.yaml SCALE=6x
"""
INTERRUPTED = "interrupted before the run was started; make submit again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipelines.options import add_planned

    parser.add_argument("--yes", action="store_true", help="spend more than limits.cost without asking")
    add_planned(parser)


def main(args: argparse.Namespace) -> None:
    from pipelines import options, planning, request, submission

    cluster = options.connect(args)
    job = options.read_job(args, cluster.target)
    template = submission.check_chart(cluster)
    submission.refuse_live(cluster, job.run)
    estimate = planning.plan(cluster, job)
    print(estimate["text"], flush=True)
    confirm(estimate, job.config.limits.cost, args.yes)
    submission.create(cluster, request.workflow("run", job.workflow, {"run": job.run, "config": job.text}, job.run))
    print(f"\nsubmitted {job.workflow} to namespace {cluster.namespace} of {cluster.target.name}")
    print(f"watch it: make watch {options.targets(cluster, job.run)}\nArgo:     {submission.ui_line(cluster, template, job.workflow)}")


def confirm(estimate: dict, limit: float | None, yes: bool) -> None:
    """Asks above limits.cost, or where the cost of all that is left is unknown.

    Raises UsageError for a no, and where nobody can be asked.
    """
    from synaug.errors import UsageError
    from synaug.forecast import STAGES

    whole = estimate["whole"]
    cost, done = whole["cost"], all(stage["done"] >= stage["total"] for stage in map(estimate["stages"].get, STAGES))
    if limit is None or yes or done or (cost is not None and cost <= limit):
        return
    unknown = f" ({', '.join(whole['unmeasured'])}: unmeasured, make preview measures)" if whole["unmeasured"] else ""
    if whole["price"] is None:
        why = f"the cost is unknown, since compute.price is not given, and limits.cost is {limit:,.2f}"
    elif whole["cost_at_least"] > limit:
        least = f"{'at least ' if unknown else ''}{whole['cost_at_least']:,.2f}{unknown}"
        why = f"the run would cost {least}, more than limits.cost {limit:,.2f}"
    else:
        why = f"the cost is unknown{unknown}, and limits.cost is {limit:,.2f}"
    if not sys.stdin.isatty():
        raise UsageError(f"{why}; YES=1 spends it, or raise the limit")
    if input(f"{why}. Start it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError(f"not started: {why}")
