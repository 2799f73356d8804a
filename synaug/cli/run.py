"""run: the whole job on this machine."""

import argparse
import time

from synaug.data.store import add_store_argument
from synaug.errors import SynaugError, UsageError
from synaug.stages import plan as planning

HELP = "plan and do every stage on this machine, skipping what is done"
EPILOG = """\
reads    run.yaml (or a preset), the imported images in the store
writes   all of runs/NAME/ in the store, the report last
needs    what plan needs; a CPU is enough for the demo, a GPU for real diffusion models

Stop it at any moment and run it again: it goes on. Without --config it goes on with a planned run.

example  synaug run --config run.yaml --store ./store --run first --scale 2x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", help="run.yaml; without it, go on with the planned run")
    source.add_argument("--preset", metavar="NAME", help="demo, imagenet, low-data, long-tail or cluster")
    add_store_argument(parser)
    parser.add_argument("--run", required=True, metavar="NAME", help="name of the run within the store")
    parser.add_argument("--scale", metavar="KX", help="synthetic images for each real one, like 6x; short for scale=6x")
    parser.add_argument("--yes", action="store_true", help="spend more than limits.cost without asking")
    parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE", help="replaces a field of run.yaml; `synaug config` lists them"
    )


class Failed(SynaugError):
    """Some tasks failed; exits as the first of them."""

    def __init__(self, failures):
        task, self.exit_code, line = failures[0]
        others = f"; {len(failures) - 1} more failed too" if len(failures) > 1 else ""
        super().__init__(f"{task.name}: {line}{others}; the rest that could be done is done, run again to go on")


def main(args: argparse.Namespace) -> None:
    from synaug.data.store import open_store
    from synaug.reporting.plan_text import plan_text
    from synaug.run.job import open_job
    from synaug.runner.display import Display, closing
    from synaug.runner.local_executor import run_locally

    started = time.monotonic()
    display = Display()
    overrides = list(args.overrides)
    if args.config or args.preset:
        config = planning.configured(args)
        plan, notes = planning.make_plan(open_store(args.store), args.run, config)
        display.console.print(plan_text(args.run, config, plan, notes), soft_wrap=True)
        overrides = []  # they are in the plan now
    elif args.scale:
        raise UsageError("--scale needs --config or --preset: it changes the plan")
    job = open_job(
        args.store, args.run, overrides=overrides
    )  # refuses overrides that belong in the plan before anything starts
    if not args.yes:
        refuse_cost(job)
    outcome = run_locally(args.store, args.run, overrides=overrides, display=display)
    if outcome.failures:
        for task, code, line in outcome.failures[1:]:
            display.console.print(f"{task.name}: {line} (exit {code})", soft_wrap=True)
        raise Failed(outcome.failures)
    closing(args.store, args.run, outcome, time.monotonic() - started)


def refuse_cost(job) -> None:
    """Raises UsageError when what is left costs more than limits.cost, or nobody can say what it costs."""
    from synaug.run.cost_limit import cost_limit_violation
    from synaug.run.forecast import read_forecast

    limit = job.config.limits.cost
    if limit is None:
        return
    left = read_forecast(job.store, job.run, job.config, job.plan)
    if not any(seconds is None or seconds for seconds in left.seconds.values()):
        return
    known = {"price": left.price, "cost_at_least": left.cost_at_least, "unmeasured": left.unmeasured}
    if why := cost_limit_violation(limit, **known, measures="`synaug preview`"):
        raise UsageError(f"{why}; --yes spends it, or raise the limit")
