"""One-pod Workflows (plan, import, preview, fetch): started, followed with what holds them up, and their failure raised."""

import sys
from collections.abc import Callable

from pipelines.api import submission, wait
from pipelines.api.client import Cluster
from pipelines.status import explanations, view
from pipelines.status.run_progress import RunProgress
from pipelines.status.snapshot import snapshot
from synaug.errors import INTERNAL, DataError, SynaugError, TransientError


class StageFailed(SynaugError):
    """A stage failed in its pod; exits as the stage did."""

    def __init__(self, task, hint: str = ""):
        self.exit_code = task.code if task.code and task.code > 0 else 170
        super().__init__(f"{task.line or 'it left no reason'} (exit {task.code} of {task.name}){hint}")


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(
    cluster: Cluster, workflow: dict, *, replace_live: bool, watching: Callable[[dict], None] = lambda workflow: None
) -> dict:
    """Creates the Workflow and returns it finished. Raises what its pod failed of.

    watching: called with each state on the way, and with the last.
    """
    name = workflow["metadata"]["name"]
    submission.create(cluster, workflow, replace_live=replace_live)
    said: set[str] = set()

    def once(line: str) -> None:
        if line not in said:
            said.add(line)
            note(line)

    for now in wait.follow(cluster, name, hiccup=lambda line: once(f"waiting for the cluster: {line}")):
        if now is None:
            raise DataError(f"Workflow {name} was deleted while it ran; run this again")
        if wait.finished(now):
            done = _succeeded(now)
            watching(done)  # it may have come and gone between two looks
            return done
        try:
            watching(now)
            seen = snapshot(cluster, now)
        except TransientError as error:  # only the pods cannot be read just now
            once(f"waiting for the cluster: {error}")
            continue
        measures = RunProgress(now, seen.now)
        for line in [*view.waiting(measures, seen), *view.counts(measures)]:
            once(_without_age(line))
    raise AssertionError("follow ends with a finished Workflow or None")


def _without_age(line: str) -> str:
    """`pending 1 for 9 m   reason` -> `pending: reason`, so that each reason is said once."""
    return f"pending: {line.split('   ', 1)[1]}" if line.startswith("pending ") else line


def _succeeded(workflow: dict) -> dict:
    status = workflow["status"]
    if status["phase"] == "Succeeded":
        return workflow
    failed = RunProgress(workflow, wait.now()).failed()
    if failed:
        raise StageFailed(failed[0], "" if failed[0].code in (2, 3, 4) else f"; {explanations.fix(failed[0])}")
    message = status.get("message") or "no reason given"
    raise Refused(f"Argo could not run {workflow['metadata']['name']}: {message}")


class Refused(SynaugError):
    """The Workflow failed before or outside a stage."""

    exit_code = INTERNAL
