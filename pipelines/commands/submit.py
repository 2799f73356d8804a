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
    from pipelines.commands.options import add_planned

    parser.add_argument("--yes", action="store_true", help="spend more than limits.cost without asking")
    add_planned(parser)


def main(args: argparse.Namespace) -> None:
    from pipelines.api import submission, workflow_request
    from pipelines.commands import options
    from pipelines.operations import planning

    cluster = options.connect(args)
    job = options.read_job(args, cluster.target)
    template = submission.check_chart(cluster)
    submission.refuse_live(cluster, job.run)
    estimate = planning.plan(cluster, job)
    print(estimate["text"], flush=True)
    confirm(estimate, job.config.limits.cost, args.yes)
    submission.create(
        cluster, workflow_request.workflow("run", job.workflow, {"run": job.run, "config": job.text}, job.run)
    )
    print(f"\nsubmitted {job.workflow} to namespace {cluster.namespace} of {cluster.target.name}")
    print(
        f"watch it: make watch {options.targets(cluster, job.run)}\nArgo:     {submission.ui_line(cluster, template, job.workflow)}"
    )


def confirm(estimate: dict, limit: float | None, yes: bool) -> None:
    """Asks above limits.cost, or where the cost of all that is left is unknown.

    Raises UsageError for a no, and where nobody can be asked.
    """
    from synaug.errors import UsageError
    from synaug.run.forecast import cost_limit_violation
    from synaug.run.stages import long_stages

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
