"""`synaug plan`: the first stage, which makes a run of a configuration; its work is in synaug/stages/plan.py."""

import argparse
import os

from synaug.cli.parser import add_configuration_arguments, add_run_argument, add_store_argument, configured
from synaug.config import Config
from synaug.data import layout
from synaug.data.store import Store, open_store
from synaug.reporting.plan_text import plan_text
from synaug.run import outputs
from synaug.run.job import check_name, open_run
from synaug.run.status import read_state
from synaug.runner.log_tail import LogTail, end_if_stalled, log_tail_on_failure
from synaug.stages import plan as planning

HELP = "freeze the configuration, cut the run into class shards, estimate the hours and cost of every stage"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, the split of real images in the store
writes   runs/NAME/run.yaml and plan.json
needs    imported real images (`synaug import`); the models resolvable: on the hub, or in the local cache when offline

A growth such as --scale 6x plans only what is missing. What decides the images is frozen once images or prompts exist.

example  synaug plan --config run.yaml --store ./store --run first --scale 2x images.guidance_scale=1.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_arguments(parser, "run.yaml", required=True)
    add_store_argument(parser)
    add_run_argument(parser, "name of the run within the store")


def main(args: argparse.Namespace) -> None:
    """Plan a run and print the plan. Raises what `make_plan` raises."""
    tail = LogTail("plan", args.store, layout.log(check_name(args.run, "run"), "plan", "all"))
    with log_tail_on_failure(tail):
        config = configured(args)
        with end_if_stalled(config.compute.stall_minutes, tail):
            _plan(open_store(args.store), args.run, config)


def _plan(store: Store, run: str, config: Config) -> None:
    plan, notes = planning.make_plan(store, run, config)
    text = plan_text(run, config, plan, notes)
    print(text)
    if outputs.FOLDER in os.environ:
        outputs.write_plan(run, config, plan, read_state(store, run, *open_run(store, run)), text)
