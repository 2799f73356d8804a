"""Reads what `view` shows: the pods of a Workflow, their events, the last lines of launchers. Asks the cluster."""

from pipelines import names
from pipelines.api import wait
from pipelines.api.client import Cluster
from pipelines.status import argo_nodes, pods
from pipelines.status.view import Snapshot
from synaug.errors import SynaugError, TransientError

ARGO_LABEL = "workflows.argoproj.io/workflow"
TAIL = 10  # lines of a launcher's log: argoexec writes up to three after the launcher's own


def read_snapshot(cluster: Cluster, workflow: dict) -> Snapshot:
    """Read the pods of Argo and of the training jobs, their events and logs.

    Events only while some pod waits; logs only of launchers that run.
    """
    name, now = workflow["metadata"]["name"], wait.now()
    if workflow.get("status", {}).get("finishedAt"):
        return Snapshot(workflow, now)
    by_name = {
        pod["metadata"]["name"]: pod
        for label in (ARGO_LABEL, names.WORKFLOW_LABEL)
        for pod in cluster.pods(f"{label}={name}")
    }
    found = list(by_name.values())
    waiting = any(pod["status"].get("phase") == "Pending" for pod in found)
    events = cluster.pod_events() if waiting else []
    return Snapshot(workflow, now, found, events, _launchers(cluster, workflow, found), now)


def _launchers(cluster: Cluster, workflow: dict, found: list[dict]) -> dict[str, str]:
    lines = {}
    for task in argo_nodes.tasks(workflow):
        if task.stage != "train" or task.phase != "Running":
            continue
        pod = pod_of(task, found)
        if pod is None or pod["status"].get("phase") != "Running":
            continue
        try:
            log = cluster.log(pod["metadata"]["name"], tail=TAIL)
        except TransientError:
            raise
        except SynaugError:  # the container is not there yet, or just gone
            continue
        if line := argo_nodes.last_own_line(log):
            lines[task.name] = line
    return lines


def pod_of(task: argo_nodes.NodeTask, found: list[dict]) -> dict | None:
    """Find the pod of a task's last attempt, while it exists."""
    if not task.attempts:
        return None
    return next((pod for pod in found if pods.argo_node_id(pod) == task.attempts[-1].id), None)
