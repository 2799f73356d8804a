"""The display of `watch`: drawn again and again at a terminal, lines on change elsewhere."""

import time
from dataclasses import replace

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipelines import names
from pipelines.api import wait
from pipelines.api.client import Cluster
from pipelines.api.run_reference import make_variables
from pipelines.operations.one_pod_workflow import Refused, StageFailed
from pipelines.status import view
from pipelines.status.read_snapshot import read_snapshot
from pipelines.status.run_progress import RunProgress
from pipelines.status.view import Snapshot
from synaug.errors import DataError, TransientError

DRAW, PRINT = 2.0, 30.0  # seconds between drawings at a terminal, between blocks of lines elsewhere
PODS = 10.0  # seconds between readings of the pods
LOOK = 5.0  # seconds between looks where lines are printed
STYLES = {"head": "bold", "waiting": "yellow", "failure": "bold red", "fix": "red", "hint": "dim"}
HINT = "Ctrl-C leaves the run going"


def once(cluster: Cluster, workflow: dict) -> None:
    """Show a run once. Raises what the run has failed of."""
    snapshot = read_snapshot(cluster, workflow)
    _print(Console(highlight=False), view.lines(snapshot))
    if wait.finished(workflow):
        outcome(cluster, snapshot)


def watch(cluster: Cluster, name: str) -> None:
    """Show a run until it has ended. Raises what it failed of, DataError when its Workflow was deleted."""
    console = Console(highlight=False)
    last = _live(cluster, name, console) if console.is_terminal else _printed(cluster, name, console)
    if last is None:
        raise DataError(f"Workflow {name} was deleted; what is done stays in the store, make submit goes on from it")
    outcome(cluster, last)


def outcome(cluster: Cluster, snapshot: Snapshot) -> None:
    """Say where the report of a run that succeeded is; else raises, with the code of the stage that failed first."""
    metadata, status = snapshot.workflow["metadata"], snapshot.workflow["status"]
    if status["phase"] == "Succeeded":
        variables = make_variables(cluster, metadata["labels"][names.RUN_LABEL])
        print(f"done. The report: make fetch-report {variables}")
        return
    if failed := RunProgress(snapshot.workflow, snapshot.now).failed():
        raise StageFailed(failed[0])
    if snapshot.workflow["spec"].get("shutdown"):
        raise DataError(f"{metadata['name']} was stopped; make submit goes on from what is done")
    reason = status.get("message") or "no reason given"
    raise Refused(f"the run failed: {reason}; make logs STAGE=plan, or the Argo UI, may say more")


def _live(cluster: Cluster, name: str, console: Console) -> Snapshot | None:
    trouble: list[str] = []
    snapshot: Snapshot | None = None
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def hiccup(line: str) -> None:
            trouble[:] = [line]
            if snapshot is not None:
                live.update(_text(view.lines(snapshot), [*trouble, HINT]), refresh=True)

        for workflow in wait.follow(cluster, name, every=DRAW, apart=DRAW, hiccup=hiccup):
            if workflow is None:
                return None
            snapshot = _snapshot(cluster, workflow, snapshot)
            trouble.clear()
            live.update(_text(view.lines(snapshot), [] if wait.finished(workflow) else [HINT]), refresh=True)
    return snapshot


def _printed(cluster: Cluster, name: str, console: Console) -> Snapshot | None:
    shown: tuple | None = None
    snapshot: Snapshot | None = None
    shown_at, trouble = float("-inf"), ""

    def hiccup(line: str) -> None:
        nonlocal trouble
        if line != trouble:
            console.print(f"(no answer) {line}", soft_wrap=True)
        trouble = line

    for workflow in wait.follow(cluster, name, every=LOOK, apart=LOOK, hiccup=hiccup):
        if workflow is None:
            return None
        ended = wait.finished(workflow)
        if not ended and time.monotonic() - shown_at < PRINT and shown is not None and _key(workflow) == shown:
            continue
        snapshot, shown_at = _snapshot(cluster, workflow, snapshot), time.monotonic()
        _print(console, view.lines(snapshot))
        shown = _key(workflow)
    return snapshot


def _key(workflow: dict) -> tuple:
    """What is worth a new block of lines at once: a stage that begins, a task that fails.

    The rest waits for the rhythm.
    """
    progress = RunProgress(workflow, wait.now())
    stages = tuple((stage, progress.count(stage).running > 0) for stage in view.RUN_STAGES)
    return stages, len(progress.failed()), workflow["spec"].get("shutdown")


def _snapshot(cluster: Cluster, workflow: dict, before: Snapshot | None) -> Snapshot:
    """Read the pods where they were read more than PODS seconds ago: they are many and change slowly.

    Where they cannot be read just now, they are shown as they were.
    """
    now = wait.now()
    if before and before.read and (now - before.read).total_seconds() < PODS:
        return replace(before, workflow=workflow, now=now)
    try:
        return read_snapshot(cluster, workflow)
    except TransientError:
        return replace(before, workflow=workflow, now=now) if before else Snapshot(workflow, now)


def _print(console: Console, lines: list[view.Line]) -> None:
    for line in lines:
        console.print(Text(line.text, STYLES.get(line.kind, "")), soft_wrap=True)


def _text(lines: list[view.Line], hints: list[str]) -> Text:
    return Text("\n").join(
        [Text(line.text, STYLES.get(line.kind, "")) for line in [*lines, *(view.Line("hint", hint) for hint in hints)]]
    )
