"""stop: end a run so that it can go on later."""

import argparse

from pipelines import names
from pipelines.api import submission, wait, workflow_request
from pipelines.commands import options
from pipelines.operations.one_pod_workflow import note

HELP = "stop a run; make submit goes on from what is done"
EPILOG = """\
writes   shutdown: Stop into the run's Workflow: its pods end, the exit handler removes its training job
needs    a running run; RUN=NAME, else the configuration's name, else the newest

example  make stop RUN=imagenet-6x
"""
INTERRUPTED = "the run is still stopping; make watch shows it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)


def main(args: argparse.Namespace) -> None:
    cluster = options.connect(args)
    workflow = submission.newest_run(cluster, options.run_name(args, cluster.target))
    name = workflow["metadata"]["name"]
    if wait.finished(workflow):
        print(f"{name} has ended already ({workflow['status']['phase']}); nothing to stop")
        return
    cluster.patch_workflow(name, workflow_request.stop())
    note(f"stopping {name} ...")
    *_, last = wait.follow(cluster, name, hiccup=lambda line: note(f"waiting for the cluster: {line}"))
    state = "deleted" if last is None else "stopped" if last["status"]["phase"] != "Succeeded" else "already done"
    run = workflow["metadata"]["labels"].get(names.RUN_LABEL, "")
    print(f"{name} is {state}; make submit RUN={run} goes on from what is done")
