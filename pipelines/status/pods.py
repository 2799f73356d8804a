"""Pods as the API server shows them: whose they are, since when they work, on how many GPUs. Pure."""

from datetime import datetime

from pipelines import names

NODE_ANNOTATION = "workflows.argoproj.io/node-id"
WORKING = ("main", "pytorch")  # the container that does the work: Argo's name for it, the training operator's


def argo_node_id(pod: dict) -> str | None:
    """Read the id of the Workflow's node that a pod of Argo's belongs to; the machine is `spec.nodeName`."""
    return pod["metadata"].get("annotations", {}).get(NODE_ANNOTATION)


def stage(pod: dict) -> str | None:
    """Read the stage of a pod."""
    return pod["metadata"].get("labels", {}).get(names.STAGE_LABEL)


def job(pod: dict) -> str | None:
    """Read the PyTorchJob of a worker."""
    return pod["metadata"].get("labels", {}).get("training.kubeflow.org/job-name")


def began(pod: dict) -> datetime | None:
    """Return when a pod's container began to run.

    None while it waits for a node, an image or a volume, and once it has ended.
    """
    for container in pod["status"].get("containerStatuses", []):
        if container["name"] in WORKING and (running := container.get("state", {}).get("running")):
            return datetime.fromisoformat(running["startedAt"])
    return None


def waited(pod: dict) -> float | None:
    """Return the seconds from a pod's creation until it began; None before."""
    moment = began(pod)
    return (moment - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds() if moment else None


def gpus(pod: dict) -> int:
    """Count the GPUs that a pod asks for, 1 where none is named."""
    limits = [container.get("resources", {}).get("limits", {}) for container in pod["spec"]["containers"]]
    return sum(int(number) for limit in limits for resource, number in limit.items() if resource.endswith("/gpu")) or 1
