"""Objects of the store by way of a pod's log: the client never talks to the store itself."""

from pathlib import Path

from pipelines import names
from pipelines.api import wait, workflow_request
from pipelines.api.client import Cluster
from pipelines.operations import fetch, one_pod_workflow
from pipelines.status.argo_nodes import tasks
from pipelines.status.snapshot import ARGO_LABEL, pod_of
from synaug.errors import SynaugError, TransientError

WORK = Path("work")


def fetch_object(cluster: Cluster, run: str, what: str) -> bytes:
    """what: report, preview or logs/STAGE-UNIT. Raises what the pod failed of; DataError where it arrives cut or changed."""
    name = names.helper_workflow(run, "fetch")
    log: dict[str, str] = {}

    def read(workflow: dict) -> None:
        """From the pod, which stays until the Workflow is deleted."""
        for task in tasks(workflow):
            pod = pod_of(task, cluster.pods(f"{ARGO_LABEL}={name}"))
            if pod and pod["status"].get("phase") in ("Running", "Succeeded") and fetch.END not in log.get("text", ""):
                try:
                    log["text"] = "\n".join(cluster.follow_log(pod["metadata"]["name"]))
                except TransientError:
                    raise
                except SynaugError:  # its container is not there yet
                    continue

    body = workflow_request.workflow("fetch", name, {"run": run, "what": what}, run)
    one_pod_workflow.run(cluster, body, replace_live=True, watching=read)
    if "text" not in log:
        raise TransientError(f"the log of {name} was gone before it could be read; run this again")
    _, data = fetch.decode(log["text"])
    wait.delete(cluster, name)
    return data


def save(data: bytes, name: str) -> Path:
    WORK.mkdir(exist_ok=True)
    path = WORK / name
    path.write_bytes(data)
    return path
