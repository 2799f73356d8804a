"""Waiting for Workflows: on the API server's watch, never on a fixed sleep."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pipelines.api.client import Cluster
from synaug.errors import TransientError

FINISHED = ("Succeeded", "Failed", "Error")
PAUSE = 2.0  # seconds between tries to reach an API server that is away
PATIENCE = 120.0  # seconds without an answer of the API server, and that a deletion may take


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def finished(workflow: dict) -> bool:
    """Say whether a Workflow is over, its exit handler included."""
    return workflow.get("status", {}).get("phase") in FINISHED


def follow(
    cluster: Cluster,
    name: str,
    *,
    every: float = 5.0,
    apart: float = 0.0,
    hiccup: Callable[[str], None] = lambda line: None,
) -> Iterator[dict | None]:
    """Yield a Workflow now, after each change, and every `every` seconds at the latest; the finished one is the last.

    None is the last where there is none. apart: seconds between two looks at the least; a busy Workflow changes many
    times a second. While the API server does not answer, `hiccup` gets the reason; raises TransientError after
    PATIENCE seconds of it.
    """
    silent_since = None
    while True:
        try:
            workflow = cluster.workflow(name)
            silent_since = None
            looked_at = time.monotonic()
            yield workflow
            if workflow is None or finished(workflow):
                return
            time.sleep(max(0.0, looked_at + apart - time.monotonic()))
            cluster.await_change(name, workflow["metadata"]["resourceVersion"], every)
        except TransientError as error:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > PATIENCE:
                raise
            hiccup(str(error))
            time.sleep(min(every, PAUSE))  # nothing to await while nobody answers


def delete(cluster: Cluster, name: str) -> None:
    """Delete a Workflow and await that it and its pods are gone. Raises TransientError after PATIENCE seconds."""
    cluster.delete_workflow(name)
    begun_at = time.monotonic()
    while workflow := cluster.workflow(name):
        if time.monotonic() - begun_at > PATIENCE:
            holders = ", ".join(workflow["metadata"].get("finalizers", [])) or "its pods"
            raise TransientError(
                f"Workflow {name} is being deleted since {PATIENCE:.0f} s, held by {holders}; look at its pods, then "
                "run this again"
            )
        cluster.await_change(name, workflow["metadata"]["resourceVersion"], 2.0)
