"""`synaug run`: the whole job on this machine.

The local runner and its display (rich) are imported when a run begins: --help starts without them.
"""

import argparse
import time
from typing import TYPE_CHECKING

from synaug.cli.parser import add_configuration_arguments, add_run_argument, add_store_argument, configured
from synaug.config import Config
from synaug.data.store import open_store
from synaug.errors import SynaugError, UsageError
from synaug.reporting.plan_text import plan_text
from synaug.run.forecast import cost_limit_violation, read_forecast
from synaug.run.job import Job, open_job
from synaug.stages import plan as planning

if TYPE_CHECKING:
    from synaug.runner.local_executor import Failure

HELP = "plan and do every stage on this machine, skipping what is done"
EPILOG = """\
reads    run.yaml (or a preset), the imported images in the store
writes   all of runs/NAME/ in the store, the report last
needs    what plan needs; a CPU is enough for the demo, a GPU for real diffusion models

Stop it at any moment and run it again: it goes on. Without --config it goes on with a planned run.

example  synaug run --config run.yaml --store ./store --run first --scale 2x
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_arguments(parser, "run.yaml; without it, go on with the planned run", required=False)
    add_store_argument(parser)
    add_run_argument(parser, "name of the run within the store")
    parser.add_argument("--yes", action="store_true", help="spend more than limits.cost without asking")


class Failed(SynaugError):
    """Some tasks failed; exits as the first of them."""

    def __init__(self, failures: "list[Failure]"):
        first = failures[0]
        self.exit_code = first.code
        others = f"; {len(failures) - 1} more failed too" if len(failures) > 1 else ""
        rest = "the rest that could be done is done, run again to go on"
        super().__init__(f"{first.task.name}: {first.line}{others}; {rest}")


def main(args: argparse.Namespace) -> None:
    """Plan and do a run. Raises what `make_plan` raises, UsageError beyond limits.cost, Failed when tasks failed."""
    from synaug.runner.display import Display, closing
    from synaug.runner.local_executor import run_locally

    started = time.monotonic()
    display, store = Display(), open_store(args.store)
    overrides = list(args.overrides)
    if args.config or args.preset:
        config = with_local_gpus(configured(args))
        plan, notes = planning.make_plan(store, args.run, config)
        display.console.print(plan_text(args.run, config, plan, notes), soft_wrap=True)
        overrides = []  # they are in the plan now
    elif args.scale:
        raise UsageError("--scale needs --config or --preset: it changes the plan")
    # refuses overrides that belong in the plan before anything starts
    job = open_job(args.store, args.run, overrides=overrides)
    if not args.yes:
        refuse_cost(job)
    outcome = run_locally(args.store, args.run, overrides=overrides, display=display)
    if outcome.failures:
        for failure in outcome.failures[1:]:
            display.console.print(f"{failure.task.name}: {failure.line} (exit {failure.code})", soft_wrap=True)
        raise Failed(outcome.failures)
    closing(store, args.run, outcome.clock.seconds, time.monotonic() - started)


def with_local_gpus(config: Config) -> Config:
    """Let the plan reckon with the GPUs that this machine will use, where run.yaml does not say how many.

    Raises UsageError for GPUs that are not there or that torch cannot use.
    """
    from synaug.backends.devices import choose_local_devices

    gpus = len(choose_local_devices(config.compute, config.threads).gpus)
    if gpus < 2 or "gpus" in config.compute.model_fields_set:
        return config
    return config.model_copy(update={"compute": config.compute.model_copy(update={"gpus": gpus})})


def refuse_cost(job: Job) -> None:
    """Refuse to spend more than limits.cost. Raises UsageError, also when nobody can say what is left to pay."""
    limit = job.config.limits.cost
    if limit is None:
        return
    left = read_forecast(job.store, job.run, job.config, job.plan)
    if not any(seconds is None or seconds for seconds in left.seconds.values()):
        return
    why = cost_limit_violation(
        limit,
        price=left.price,
        cost_at_least=left.cost_at_least,
        unmeasured=left.unmeasured,
        measures="`synaug preview`",
    )
    if why:
        raise UsageError(f"{why}; --yes spends it, or raise the limit")
