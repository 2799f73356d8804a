"""Reading what `view` shows: the Workflow's pods, their events, the launchers' last lines."""

from pipelines import names
from pipelines.api import wait
from pipelines.api.client import Cluster
from pipelines.status import argo_nodes
from pipelines.status import pods as of
from pipelines.status.view import Snapshot
from synaug.errors import SynaugError, TransientError

ARGO_LABEL = "workflows.argoproj.io/workflow"


def snapshot(cluster: Cluster, workflow: dict) -> Snapshot:
    """Pods of Argo and of the training jobs; events only while some pod waits; logs only of launchers that run."""
    name, now = workflow["metadata"]["name"], wait.now()
    if workflow.get("status", {}).get("finishedAt"):
        return Snapshot(workflow, now)
    pods = {
        pod["metadata"]["name"]: pod
        for label in (ARGO_LABEL, names.WORKFLOW_LABEL)
        for pod in cluster.pods(f"{label}={name}")
    }
    waiting = any(pod["status"].get("phase") == "Pending" for pod in pods.values())
    events = cluster.pod_events() if waiting else []
    return Snapshot(workflow, now, list(pods.values()), events, _launchers(cluster, workflow, list(pods.values())), now)


def _launchers(cluster: Cluster, workflow: dict, pods: list[dict]) -> dict[str, str]:
    logs = {}
    for task in argo_nodes.tasks(workflow):
        if (
            task.stage == "train"
            and task.phase == "Running"
            and (pod := pod_of(task, pods))
            and pod["status"].get("phase") == "Running"
        ):
            try:
                said = cluster.log(pod["metadata"]["name"], tail=1).strip()
            except TransientError:
                raise
            except SynaugError:  # the container is not there yet, or just gone
                continue
            if said:
                logs[task.name] = said
    return logs


def pod_of(task: argo_nodes.Task, pods: list[dict]) -> dict | None:
    """The pod of a task's last attempt, while it exists."""
    if not task.attempts:
        return None
    return next((pod for pod in pods if of.node(pod) == task.attempts[-1].id), None)
