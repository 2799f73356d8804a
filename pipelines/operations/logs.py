"""The log of one stage's unit: from its pod while that exists, else from the store."""

import sys

from pipelines import names
from pipelines.api import submission, wait
from pipelines.api.client import Cluster
from pipelines.operations import log_transfer
from pipelines.status import argo_nodes
from pipelines.status.snapshot import ARGO_LABEL, pod_of
from synaug.errors import DataError, SynaugError, UsageError
from synaug.run.stages import STAGES, Scope

OF_SHARD = [name for name, stage in STAGES.items() if stage.scope is Scope.SHARD]
OF_ARM = [name for name, stage in STAGES.items() if stage.scope is Scope.TRAINING]
SINGLE = ["plan", *(name for name, stage in STAGES.items() if stage.scope is Scope.RUN), "finish"]
WORKER_LOG = (
    "--- the end of the log of "  # what a launcher prints of a worker that failed (pipelines.launcher.launcher)
)
STARTED = ("Running", "Succeeded", "Failed")


def wanted(stage: str | None, shard: int | None, arm: str | None, seed: int | None) -> tuple[str, str]:
    """(stage, unit). Raises UsageError for what names no pod."""
    ways = "SHARD=N [STAGE=prompts], ARM=NAME [SEED=N] [STAGE=evaluate], or STAGE=" + "|".join(SINGLE)
    stage = stage or ("images" if shard is not None else "train" if arm is not None else None)
    if stage in OF_SHARD and shard is not None and arm is None:
        return stage, f"{shard:03d}"
    if stage in OF_ARM and arm is not None and shard is None:
        return stage, f"{arm}-{seed or 0}"
    if stage in SINGLE and shard is None and arm is None:
        return stage, ""
    raise UsageError(f"which log? Give {ways}")


def show_pod(cluster: Cluster, workflow: dict, stage: str, unit: str) -> bool:
    """Prints it to the end, waiting for a pod that is to start. False where there is no pod any more, or no such task yet.

    Of a training it is the launcher's; where that failed and said nothing of its workers' log, theirs is shown after it.
    """
    name = workflow["metadata"]["name"]
    for now in wait.follow(cluster, name):
        task = next((t for t in argo_nodes.tasks(now or {}) if (t.stage, t.unit) == (stage, unit)), None)
        if task is None:
            return False
        pod = pod_of(task, cluster.pods(f"{ARGO_LABEL}={name}"))
        if pod is None and (task.phase != "Running" or wait.finished(now)):
            return False
        if pod and _started(pod):
            told = False
            for line in cluster.follow_log(pod["metadata"]["name"]):
                told = told or line.startswith(WORKER_LOG)
                if " argo=true" not in line:  # argoexec's own
                    print(line, flush=True)
            if stage == "train" and pod["status"]["phase"] == "Failed" and not told:
                _show_workers(cluster, workflow["metadata"]["labels"][names.RUN_LABEL], unit)
            return True
    return False


def _show_workers(cluster: Cluster, run: str, unit: str) -> None:
    try:
        show_stored(cluster, run, "train", unit, title=f"{WORKER_LOG}its workers, from the store:")
    except DataError:
        print(
            f"its workers left no log in the store: train-{unit} ended before they ran, or was killed", file=sys.stderr
        )


def _started(pod: dict) -> bool:
    states = [s.get("state", {}) for s in pod["status"].get("containerStatuses", []) if s["name"] == "main"]
    return pod["status"].get("phase") in STARTED and any(
        "running" in state or "terminated" in state for state in states
    )


def show_stored(cluster: Cluster, run: str, stage: str, unit: str, title: str = "") -> None:
    """Prints the end of the failed stage's log. Raises DataError where it left none."""
    submission.check_chart(cluster, "fetch")
    try:
        data = log_transfer.fetch_object(cluster, run, f"logs/{stage}-{unit or 'all'}")
    except SynaugError as error:
        if error.exit_code != DataError.exit_code:
            raise
        name = f"{stage}-{unit}" if unit else stage
        raise DataError(
            f"{name} of run {run} has no pod, and left no log: it has not begun, or it did not fail ({error})"
        ) from error
    print(
        "".join(f"{line}\n" for line in [*([title] if title else []), *data.decode(errors="replace").splitlines()]),
        end="",
    )
