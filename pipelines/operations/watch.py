"""The display of `watch`: drawn anew at a terminal, lines on change elsewhere."""

import time
from dataclasses import replace

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipelines import names
from pipelines.api import wait
from pipelines.api.client import Cluster
from pipelines.commands import options
from pipelines.operations.one_pod_workflow import Refused, StageFailed
from pipelines.status import view
from pipelines.status.run_progress import RunProgress
from pipelines.status.snapshot import snapshot
from synaug.errors import DataError, TransientError

DRAWN, SAID = 2.0, 30.0  # seconds between drawings at a terminal, between blocks of lines elsewhere
PODS = 10.0  # seconds between readings of the pods
LOOK = 5.0  # seconds between looks where lines are said
STYLES = {"head": "bold", "waiting": "yellow", "failure": "bold red", "fix": "red", "hint": "dim"}
HINT = "Ctrl-C leaves the run going"


def once(cluster: Cluster, workflow: dict) -> None:
    """Raises what the run has failed of."""
    seen = snapshot(cluster, workflow)
    _print(Console(highlight=False), view.lines(seen))
    if wait.finished(workflow):
        outcome(cluster, seen)


def watch(cluster: Cluster, name: str) -> None:
    """Until the run has ended. Raises what it failed of, DataError when its Workflow was deleted."""
    console = Console(highlight=False)
    seen = _live(cluster, name, console) if console.is_terminal else _said(cluster, name, console)
    if seen is None:
        raise DataError(f"Workflow {name} was deleted; what is done stays in the store, make submit goes on from it")
    outcome(cluster, seen)


def outcome(cluster: Cluster, seen: view.Snapshot) -> None:
    """Nothing for a run that succeeded; else raises with the exit code of the stage that failed first."""
    status = seen.workflow["status"]
    if status["phase"] == "Succeeded":
        print(
            f"done. The report: make fetch-report {options.targets(cluster, seen.workflow['metadata']['labels'][names.RUN_LABEL])}"
        )
        return
    if failed := RunProgress(seen.workflow, seen.now).failed():
        raise StageFailed(failed[0])
    if seen.workflow["spec"].get("shutdown"):
        raise DataError(f"{seen.workflow['metadata']['name']} was stopped; make submit goes on from what is done")
    raise Refused(
        f"the run failed: {status.get('message') or 'no reason given'}; make logs STAGE=plan, or the Argo UI, may say more"
    )


def _live(cluster: Cluster, name: str, console: Console) -> view.Snapshot | None:
    trouble: list[str] = []
    seen = None
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def hiccup(line: str) -> None:
            trouble[:] = [line]
            if seen is not None:
                live.update(_text(view.lines(seen), [*trouble, HINT]), refresh=True)

        for workflow in wait.follow(cluster, name, every=DRAWN, apart=DRAWN, hiccup=hiccup):
            if workflow is None:
                return None
            seen = _snapshot(cluster, workflow, seen)
            trouble.clear()
            live.update(_text(view.lines(seen), [] if wait.finished(workflow) else [HINT]), refresh=True)
    return seen


def _said(cluster: Cluster, name: str, console: Console) -> view.Snapshot | None:
    shown, at, seen, trouble = None, float("-inf"), None, ""

    def hiccup(line: str) -> None:
        nonlocal trouble
        if line != trouble:
            console.print(f"(no answer) {line}", soft_wrap=True)
        trouble = line

    for workflow in wait.follow(cluster, name, every=LOOK, apart=LOOK, hiccup=hiccup):
        if workflow is None:
            return None
        ended = wait.finished(workflow)
        if not ended and time.monotonic() - at < SAID and shown is not None and _key(workflow) == shown:
            continue
        seen, at = _snapshot(cluster, workflow, seen), time.monotonic()
        _print(console, view.lines(seen))
        shown = _key(workflow)
    return seen


def _key(workflow: dict) -> tuple:
    """What is worth a new block of lines at once: a stage that begins, a task that fails; the rest waits for the rhythm."""
    measures = RunProgress(workflow, wait.now())
    stages = tuple((stage, measures.count(stage).running > 0) for stage in view.RUN_STAGES)
    return stages, len(measures.failed()), workflow["spec"].get("shutdown")


def _snapshot(cluster: Cluster, workflow: dict, before: view.Snapshot | None) -> view.Snapshot:
    """Pods are many and change slowly: read again after PODS seconds, and where they cannot be read just now, shown as they were."""
    now = wait.now()
    if before and before.read and (now - before.read).total_seconds() < PODS:
        return replace(before, workflow=workflow, now=now)
    try:
        return snapshot(cluster, workflow)
    except TransientError:
        return replace(before, workflow=workflow, now=now) if before else view.Snapshot(workflow, now)


def _print(console: Console, lines: list[view.Line]) -> None:
    for line in lines:
        console.print(Text(line.text, STYLES.get(line.kind, "")), soft_wrap=True)


def _text(lines: list[view.Line], hints: list[str]) -> Text:
    return Text("\n").join(
        [Text(line.text, STYLES.get(line.kind, "")) for line in [*lines, *(view.Line("hint", hint) for hint in hints)]]
    )
