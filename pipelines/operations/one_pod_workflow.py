"""One-pod Workflows (plan, import, preview, fetch): started, followed with what they wait for, their failure raised."""

import sys
from collections.abc import Callable

from pipelines import names
from pipelines.api import submission, wait, workflow_request
from pipelines.api.client import Cluster
from pipelines.api.run_reference import RunReference
from pipelines.status import argo_nodes, explanations, view
from pipelines.status.argo_nodes import NodeTask
from pipelines.status.read_snapshot import read_snapshot
from pipelines.status.run_progress import RunProgress
from synaug.errors import INTERNAL, DataError, SynaugError, TransientError


class StageFailed(SynaugError):
    """A stage failed in its pod; exits as the stage did."""

    def __init__(self, task: NodeTask, hint: str = ""):
        self.exit_code = task.code if task.code and task.code > 0 else 170
        super().__init__(f"{task.line or 'it left no reason'} (exit {task.code} of {task.name}){hint}")


class Refused(SynaugError):
    """The Workflow failed before or outside a stage."""

    exit_code = INTERNAL


def note(line: str) -> None:
    """Print a line beside the result."""
    print(line, file=sys.stderr, flush=True)


def plan(cluster: Cluster, reference: RunReference) -> dict:
    """Plan a run in one pod; return the estimate. Raises what plan refuses, with its exit code."""
    name = names.helper_workflow(reference.workflow, "plan")
    parameters = {"run": reference.run, "config": reference.text}
    body = workflow_request.workflow("plan", name, parameters, reference.run)
    note(f"planning {reference.run} in the cluster ({name}) ...")
    workflow = run(cluster, body, replace_live=True)
    estimate = argo_nodes.output(workflow, "plan", "estimate")
    if estimate is None:
        raise DataError(
            f"Workflow {name} succeeded without an estimate; the image's synaug is older than the chart: check "
            "image.tag"
        )
    return estimate


def run(
    cluster: Cluster, workflow: dict, *, replace_live: bool, watching: Callable[[dict], None] = lambda workflow: None
) -> dict:
    """Create the Workflow and return it finished. Raises what its pod failed of.

    watching: called with each state on the way, and with the last.
    """
    name = workflow["metadata"]["name"]
    submission.create(cluster, workflow, replace_live=replace_live)
    noted: set[str] = set()

    def note_once(line: str) -> None:
        if line not in noted:
            noted.add(line)
            note(line)

    for state in wait.follow(cluster, name, hiccup=lambda line: note_once(f"waiting for the cluster: {line}")):
        if state is None:
            raise DataError(f"Workflow {name} was deleted while it ran; run this again")
        if wait.finished(state):
            succeeded = _succeeded(state)
            watching(succeeded)  # it may have come and gone between two looks
            return succeeded
        try:
            watching(state)
            snapshot = read_snapshot(cluster, state)
        except TransientError as error:  # only the pods cannot be read just now
            note_once(f"waiting for the cluster: {error}")
            continue
        progress = RunProgress(state, snapshot.now)
        for line in [*view.waiting(progress, snapshot), *view.counts(progress)]:
            note_once(_without_age(line))
    raise AssertionError("follow ends with a finished Workflow or None")


def _without_age(line: str) -> str:
    """`pending 1 for 9 min   reason` -> `pending: reason`, so that each reason is noted once."""
    return f"pending: {line.split('   ', 1)[1]}" if line.startswith("pending ") else line


def _succeeded(workflow: dict) -> dict:
    status = workflow["status"]
    if status["phase"] == "Succeeded":
        return workflow
    failed = RunProgress(workflow, wait.now()).failed()
    if failed:
        raise StageFailed(failed[0], "" if failed[0].code in (2, 3, 4) else f"; {explanations.advise(failed[0])}")
    message = status.get("message") or "no reason given"
    raise Refused(f"Argo could not run {workflow['metadata']['name']}: {message}")
