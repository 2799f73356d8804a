"""The log of one stage's unit: from its pod while that exists, else from the store."""

import sys
from typing import NamedTuple

from pipelines import names
from pipelines.api import submission, wait
from pipelines.api.client import Cluster
from pipelines.operations import log_transfer
from pipelines.status import argo_nodes
from pipelines.status.read_snapshot import ARGO_LABEL, pod_of
from synaug.errors import DataError, SynaugError, UsageError
from synaug.run.stages import STAGES, Scope

OF_SHARD = [name for name, stage in STAGES.items() if stage.scope is Scope.SHARD]
OF_ARM = [name for name, stage in STAGES.items() if stage.scope is Scope.TRAINING]
SINGLE = ["plan", *(name for name, stage in STAGES.items() if stage.scope is Scope.RUN), "finish"]
# what a launcher prints before the log of a worker that failed (pipelines.launcher.launcher)
WORKER_LOG = "--- the end of the log of "
STARTED = ("Running", "Succeeded", "Failed")


class StageUnit(NamedTuple):
    """A stage and one of its units: `017`, `auxbn-1x-0`, or nothing for a stage that is done once."""

    stage: str
    unit: str


def stage_unit(stage: str | None, shard: int | None, arm: str | None, seed: int | None) -> StageUnit:
    """Decide which log is meant. Raises UsageError for what names no pod."""
    ways = "SHARD=N [STAGE=prompts], ARM=NAME [SEED=N] [STAGE=evaluate], or STAGE=" + "|".join(SINGLE)
    stage = stage or ("images" if shard is not None else "train" if arm is not None else None)
    if stage in OF_SHARD and shard is not None and arm is None:
        return StageUnit(stage, f"{shard:03d}")
    if stage in OF_ARM and arm is not None and shard is None:
        return StageUnit(stage, f"{arm}-{seed or 0}")
    if stage in SINGLE and shard is None and arm is None:
        return StageUnit(stage, "")
    raise UsageError(f"which log? Give {ways}")


def show_pod(cluster: Cluster, workflow: dict, wanted: StageUnit) -> bool:
    """Print a pod's log to the end, waiting for a pod that is to start.

    False where there is no pod any more, or no such task yet. Of a training it is the launcher's; where that failed
    and has nothing of its workers' log, theirs is shown after it.
    """
    name = workflow["metadata"]["name"]
    for state in wait.follow(cluster, name):
        if state is None:
            return False
        task = next((task for task in argo_nodes.tasks(state) if (task.stage, task.unit) == wanted), None)
        if task is None:
            return False
        pod = pod_of(task, cluster.pods(f"{ARGO_LABEL}={name}"))
        if pod is None and (task.phase != "Running" or wait.finished(state)):
            return False
        if pod and _started(pod):
            has_worker_log = False
            for line in cluster.follow_log(pod["metadata"]["name"]):
                has_worker_log = has_worker_log or line.startswith(WORKER_LOG)
                if not argo_nodes.is_executors(line):
                    print(line, flush=True)
            if wanted.stage == "train" and pod["status"]["phase"] == "Failed" and not has_worker_log:
                _show_workers(cluster, workflow["metadata"]["labels"][names.RUN_LABEL], wanted)
            return True
    return False


def _show_workers(cluster: Cluster, run: str, wanted: StageUnit) -> None:
    try:
        show_stored(cluster, run, wanted, title=f"{WORKER_LOG}its workers, from the store:")
    except DataError:
        print(
            f"its workers left no log in the store: train-{wanted.unit} ended before they ran, or was killed",
            file=sys.stderr,
        )


def _started(pod: dict) -> bool:
    states = [s.get("state", {}) for s in pod["status"].get("containerStatuses", []) if s["name"] == "main"]
    return pod["status"].get("phase") in STARTED and any(
        "running" in state or "terminated" in state for state in states
    )


def show_stored(cluster: Cluster, run: str, wanted: StageUnit, title: str = "") -> None:
    """Print the end of the failed stage's log. Raises DataError where it left none."""
    stage, unit = wanted
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
    for line in [*([title] if title else []), *data.decode(errors="replace").splitlines()]:
        print(line)
