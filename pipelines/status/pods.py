"""Pods as the API server shows them: whose they are, since when they work, on how many GPUs. Pure."""

from datetime import datetime

from pipelines import names

NODE_ANNOTATION = "workflows.argoproj.io/node-id"
WORKING = ("main", "pytorch")  # the container that does the work: Argo's name for it, the training operator's


def node(pod: dict) -> str | None:
    """The id of the Workflow's node that a pod of Argo's stands for."""
    return pod["metadata"].get("annotations", {}).get(NODE_ANNOTATION)


def stage(pod: dict) -> str | None:
    return pod["metadata"].get("labels", {}).get(names.STAGE_LABEL)


def job(pod: dict) -> str | None:
    """The PyTorchJob of a worker."""
    return pod["metadata"].get("labels", {}).get("training.kubeflow.org/job-name")


def began(pod: dict) -> datetime | None:
    """When its container began to run; None while it waits for a node, an image or a volume, and once it has ended."""
    for container in pod["status"].get("containerStatuses", []):
        if container["name"] in WORKING and (running := container.get("state", {}).get("running")):
            return datetime.fromisoformat(running["startedAt"])
    return None


def waited(pod: dict) -> float | None:
    """Seconds from its creation until it began; None before."""
    moment = began(pod)
    return (moment - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds() if moment else None


def gpus(pod: dict) -> int:
    """Those that it asks for, 1 where none is named."""
    limits = [container.get("resources", {}).get("limits", {}) for container in pod["spec"]["containers"]]
    return sum(int(number) for limit in limits for resource, number in limit.items() if resource.endswith("/gpu")) or 1
