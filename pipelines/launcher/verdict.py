"""What the launcher of a PyTorchJob makes of what it sees: pure functions.

The store says whether an arm is trained, never the job. Facts behind the rules, read and seen in training-operator
1.9.3: any worker that ends with 0 makes an elastic job Succeeded, though rank 0 may just have been lost; a Failed job
may have empty replicaStatuses; a worker that is to start again is deleted, so its exit code is in the job's events
only (`Pod: NAMESPACE.NAME exited with code 137`), which are written more than once for one exit. They give no reason:
a worker that ends with 137 ran out of memory, as one that is preempted ends by itself with 143, in time.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipelines.workflow import training_job
from synaug.errors import INTERNAL, DataError, ModelError, SynaugError, TransientError, UsageError
from synaug.run.progress import duration

RESTARTS = 20  # of workers within one job; then the pod ends with 170, and the workflow waits before the next
KILLS = 1  # restarts of a worker after 137 that are accepted: a neighbour's moment; more of the same costs GPU-hours
KILLED = 137
ENDED = re.compile(r"Pod: \S+?\.(\S+) exited with code (\d+)")
OURS = {error.exit_code: error for error in (UsageError, DataError, ModelError)}
NEVER = ("InvalidImageName", "CreateContainerConfigError")  # reasons of waiting that time does not repair


class Defect(SynaugError):
    """A worker ended with a code that is none of ours: permanent."""

    exit_code = INTERNAL


class Exit(NamedTuple):
    """A worker that ended, as an event reports it."""

    pod: str
    code: int


class Termination(NamedTuple):
    """A worker that ended and whose pod is there. line: what it left as its reason, or nothing."""

    pod: str
    code: int
    line: str


class Wait(NamedTuple):
    """A worker that could not start yet."""

    pod: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class JobSnapshot:
    """What one look at the job, its pods, their events and the store found.

    done: whether done.json is in the store, None where the store could not say. again: how often workers were started
    again while all of them had a node. restarts: by worker, how often it was started again at all.
    """

    done: bool | None
    job: dict[str, Any] | None
    pods: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    again: int = 0
    restarts: dict[str, int] = field(default_factory=dict)


def arrival(job: dict[str, Any] | None, uid: str) -> str:
    """Decide what to do about a job of the name.

    `create` where there is none, `adopt` one that works for this very workflow, else `remove`.
    """
    if job is None:
        return "create"
    if training_job.owner(job) == uid and not ended(job) and "deletionTimestamp" not in job["metadata"]:
        return "adopt"
    return "remove"


def ended(job: dict[str, Any]) -> str | None:
    """Return Succeeded or Failed, None while the job works."""
    true = {each["type"] for each in job.get("status", {}).get("conditions", ()) if each["status"] == "True"}
    return next((kind for kind in ("Failed", "Succeeded") if kind in true), None)


def verdict(snapshot: JobSnapshot) -> SynaugError | bool:
    """Decide what follows.

    True: trained. False: wait. An error: how the launcher ends; one of 128 or more is tried again.
    """
    if snapshot.done:
        return True
    if snapshot.job is None:
        return TransientError("the PyTorchJob was deleted by somebody; it is started again")
    state = ended(snapshot.job)
    if state and snapshot.done is None:
        return TransientError(
            f"the PyTorchJob is {state}, and the store could not say whether the model is there; looked at again"
        )
    if state == "Failed":
        return failure(snapshot.job, snapshot.pods, snapshot.events)
    if state == "Succeeded":
        return TransientError(
            "a worker ended without the model being published, which ends the PyTorchJob; it goes on from its "
            "checkpoint"
        )
    return unrecoverable_error(snapshot) or False


def failure(job: dict[str, Any], pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> SynaugError:
    """Say why a Failed job failed: a worker's own code and line; permanent ones first, as a lost peer follows."""
    if late := overdue(pods):
        return late
    failed = sorted((end for end in terminations(pods) if end.code), key=lambda end: (end.code, end.line, end.pod))
    for end in failed:
        if end.code < 128:
            reason = f"{end.pod}: {end.line}" if end.line else f"worker {end.pod} ended with exit code {end.code}"
            return _as_ours(end.code, reason)
    if gone := [end for end in exits(events) if 0 < end.code < 128]:
        return _as_ours(
            gone[-1].code,
            f"worker {gone[-1].pod} ended with exit code {gone[-1].code} and its pod is gone; what it left is in this "
            "pod's log",
        )
    messages = [each.get("message", "") for each in job["status"]["conditions"] if each["type"] == "Failed"]
    text = failed[0].line if failed and failed[0].line else " ".join(messages)
    return TransientError(f"the PyTorchJob failed ({text}); it goes on from its checkpoint")


def unrecoverable_error(snapshot: JobSnapshot) -> SynaugError | None:
    """Find what a job that still works cannot get over."""
    if late := overdue(snapshot.pods):
        return late
    ends = exits(snapshot.events)
    for name, restarts in snapshot.restarts.items():
        kills = min(ends.count(Exit(name, KILLED)), restarts)
        if kills > KILLS:
            return UsageError(
                f"worker {name} was killed {kills} times (137: out of memory); raise "
                "pods.worker.resources.limits.memory of the chart, or lower batch_size or compute.loader_threads"
            )
    if snapshot.again > RESTARTS:
        last = f"; the last ended with {ends[-1].code}" if ends else ""
        return TransientError(
            f"workers were started again {snapshot.again} times and the arm did not come through{last}"
        )
    for event in snapshot.events:
        message = event.get("message") or ""
        if (
            event.get("reason") == "FailedCreatePod"
            and re.search(r"is (forbidden|invalid)", message)
            and "exceeded quota" not in message
        ):
            return UsageError(f"workers are not admitted: {' '.join(message.split())[:400]}")
    for wait in waiting(snapshot.pods):
        if wait.reason in NEVER:
            return UsageError(f"worker {wait.pod} cannot start: {wait.reason}: {wait.message}")
    return None


def overdue(pods: list[dict[str, Any]]) -> SynaugError | None:
    """Find a worker that ran longer than its pod may: another try would take as long."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("reason") == "DeadlineExceeded" or "active on the node longer" in (status.get("message") or ""):
            return UsageError(
                f"worker {pod['metadata']['name']} ran longer than pods.worker.deadlineHours of the chart; raise it: "
                "training goes on from its checkpoint"
            )
    return None


def _as_ours(code: int, text: str) -> SynaugError:
    return OURS.get(code, Defect)(text)


def terminations(pods: list[dict[str, Any]]) -> list[Termination]:
    """List the workers that ended."""
    found = []
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses", ()):
            state = status.get("state", {}).get("terminated")
            if status["name"] == training_job.CONTAINER and state:
                line = " ".join((state.get("message") or "").split())
                found.append(Termination(pod["metadata"]["name"], state["exitCode"], line))
    return found


def exits(events: list[dict[str, Any]]) -> list[Exit]:
    """List the workers that ended, at least once for each, in the order of their last events.

    One event may count for several.
    """
    found = []
    for event in sorted(events, key=lambda each: each.get("lastTimestamp") or ""):
        if match := ENDED.search(event.get("message") or ""):
            found += [Exit(match[1], int(match[2]))] * (event.get("count") or 1)
    return found


def not_created(events: list[dict[str, Any]]) -> str | None:
    """Say why a worker's pod is not there: the API server's last answer, like a quota that is used up."""
    found = [event for event in events if event.get("reason") == "FailedCreatePod"]
    if not found:
        return None
    message = max(found, key=lambda each: each.get("lastTimestamp") or "").get("message") or ""
    return " ".join(message[max(message.find("exceeded quota"), 0) :].split())[:200]


def lacks_nodes(pods: list[dict[str, Any]], workers: int) -> bool:
    """Say whether some worker has no node: those that do wait for it, give up after minutes, and start again."""
    conditions = [condition for pod in pods for condition in pod.get("status", {}).get("conditions", ())]
    return len(pods) < workers or any(
        each["type"] == "PodScheduled" and each["status"] == "False" for each in conditions
    )


def waiting(pods: list[dict[str, Any]]) -> list[Wait]:
    """List the workers that could not start yet."""
    found = []
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            if state := container.get("state", {}).get("waiting"):
                found.append(Wait(name, state.get("reason", ""), state.get("message", "")))
        for condition in status.get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                found.append(Wait(name, condition.get("reason", ""), condition.get("message", "")))
    return found


def running(pods: list[dict[str, Any]]) -> int:
    """Count the workers that run and are not being deleted."""
    return sum(
        pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"] for pod in pods
    )


def progress_line(
    arm: str, seed: int, snapshot: JobSnapshot, metrics: dict[str, Any] | None, *, steps: int, workers: int, now: float
) -> str:
    """Say where a training is.

    train auxbn-1x seed 0: step 1200/5000, loss 1.23, 412 images/s, 2/2 workers, checkpoint 35 s old

    metrics: the last line of metrics.jsonl in the store; checkpoint_time and now in Unix seconds.
    """
    facts = [f"step {metrics['step'] if metrics else 0}/{steps}"]
    if metrics:
        facts += [f"loss {metrics['loss']:.3g}", f"{metrics['images_per_second']:.0f} images/s"]
    facts.append(f"{running(snapshot.pods)}/{workers} workers")
    if metrics and metrics.get("checkpoint_time"):
        facts.append(f"checkpoint {duration(max(0.0, now - metrics['checkpoint_time']))} old")
    waits = [
        f"worker-{wait.pod.rpartition('-')[2]} waits: {wait.reason}: {wait.message}" for wait in waiting(snapshot.pods)
    ]
    if len(snapshot.pods) < workers and (reason := not_created(snapshot.events)):
        waits.append(f"{workers - len(snapshot.pods)} not created: {reason}")
    facts += waits[:1]
    return f"train {arm} seed {seed}: {', '.join(facts)}"
