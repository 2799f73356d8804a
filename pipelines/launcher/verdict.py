"""What the launcher of a PyTorchJob makes of what it sees: pure functions. The store says whether an arm is trained, never the job.

Facts behind the rules, read and seen in training-operator 1.9.3: any worker that ends with 0 makes an elastic job Succeeded, though
rank 0 may just have been lost; a Failed job may have empty replicaStatuses; a worker that is to start again is deleted, so its exit code
stands in the job's events only (`Pod: NAMESPACE.NAME exited with code 137`), which are written more than once for one exit. That
says no reason: a worker that ends with 137 ran out of memory, as one that is preempted ends by itself with 143, in time.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from pipelines.workflow import training_job
from synaug.errors import INTERNAL, DataError, ModelError, SynaugError, TransientError, UsageError
from synaug.run.progress import duration

RESTARTS = 20  # of workers within one job; then the pod ends with 170, and the workflow waits before the next
KILLS = 1  # starts again after 137, a worker's, that are put up with: a neighbour's moment; more of the same costs GPU-hours
KILLED = 137
ENDED = re.compile(r"Pod: \S+?\.(\S+) exited with code (\d+)")
OURS = {error.exit_code: error for error in (UsageError, DataError, ModelError)}
NEVER = ("InvalidImageName", "CreateContainerConfigError")  # reasons of waiting that time does not mend


class Defect(SynaugError):
    """A worker ended with a code that is none of ours: permanent."""

    exit_code = INTERNAL


@dataclass(frozen=True, kw_only=True)
class JobSnapshot:
    """One look.

    done: whether done.json lies in the store, None where the store could not say. again: how often workers were started again while all
    of them had a node. restarts: by worker, how often it was started again at all.
    """

    done: bool | None
    job: dict[str, Any] | None
    pods: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    again: int = 0
    restarts: dict[str, int] = field(default_factory=dict)


def arrival(job: dict[str, Any] | None, uid: str) -> str:
    """What to do about a job of the name: `create` where there is none, `adopt` one that works for this very workflow, else `remove`."""
    if job is None:
        return "create"
    if training_job.owner(job) == uid and not ended(job) and "deletionTimestamp" not in job["metadata"]:
        return "adopt"
    return "remove"


def ended(job: dict[str, Any]) -> str | None:
    """Succeeded or Failed, None while it works."""
    true = {each["type"] for each in job.get("status", {}).get("conditions", ()) if each["status"] == "True"}
    return next((kind for kind in ("Failed", "Succeeded") if kind in true), None)


def verdict(seen: JobSnapshot) -> SynaugError | bool:
    """True: trained. False: wait. An error: how the launcher ends; one of 128 or more is tried again."""
    if seen.done:
        return True
    if seen.job is None:
        return TransientError("the PyTorchJob was deleted by somebody; it is started again")
    state = ended(seen.job)
    if state and seen.done is None:
        return TransientError(
            f"the PyTorchJob is {state}, and the store could not say whether the model is there; looked at again"
        )
    if state == "Failed":
        return failure(seen)
    if state == "Succeeded":
        return TransientError(
            "a worker ended without the model being published, which ends the PyTorchJob; it goes on from its checkpoint"
        )
    return unrecoverable_error(seen) or False


def failure(seen: JobSnapshot) -> SynaugError:
    """Why a Failed job failed: a worker's own code and line; permanent ones first, as a lost peer follows from them."""
    if late := overdue(seen.pods):
        return late
    found = sorted((code, line, name) for name, code, line in terminations(seen.pods) if code)
    for code, line, name in found:
        if code < 128:
            return _as_ours(code, f"{name}: {line}" if line else f"worker {name} ended with exit code {code}")
    gone = [(name, code) for name, code in exits(seen.events) if 0 < code < 128]
    if gone:
        name, code = gone[-1]
        return _as_ours(
            code,
            f"worker {name} ended with exit code {code} and its pod is gone; what it left stands in this pod's log",
        )
    told = [each.get("message", "") for each in seen.job["status"]["conditions"] if each["type"] == "Failed"]
    text = found[0][1] if found and found[0][1] else " ".join(told)
    return TransientError(f"the PyTorchJob failed ({text}); it goes on from its checkpoint")


def unrecoverable_error(seen: JobSnapshot) -> SynaugError | None:
    """What a job that still works cannot get over."""
    if late := overdue(seen.pods):
        return late
    ends = exits(seen.events)
    for name, restarts in seen.restarts.items():
        kills = min(ends.count((name, KILLED)), restarts)
        if kills > KILLS:
            return UsageError(
                f"worker {name} was killed {kills} times (137: out of memory); raise pods.worker.resources.limits.memory of the chart, or "
                "lower batch_size or compute.loader_threads"
            )
    if seen.again > RESTARTS:
        last = f"; the last ended with {ends[-1][1]}" if ends else ""
        return TransientError(f"workers were started again {seen.again} times and the arm did not come through{last}")
    for event in seen.events:
        message = event.get("message") or ""
        if (
            event.get("reason") == "FailedCreatePod"
            and re.search(r"is (forbidden|invalid)", message)
            and "exceeded quota" not in message
        ):
            return UsageError(f"workers are not admitted: {' '.join(message.split())[:400]}")
    for name, reason, message in waiting(seen.pods):
        if reason in NEVER:
            return UsageError(f"worker {name} cannot start: {reason}: {message}")
    return None


def overdue(pods: list[dict[str, Any]]) -> SynaugError | None:
    """A worker that ran longer than its pod may: another try would take as long."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("reason") == "DeadlineExceeded" or "active on the node longer" in (status.get("message") or ""):
            return UsageError(
                f"worker {pod['metadata']['name']} ran longer than pods.worker.deadlineHours of the chart; raise it: training goes on from "
                "its checkpoint"
            )
    return None


def _as_ours(code: int, text: str) -> SynaugError:
    return OURS.get(code, Defect)(text)


def terminations(pods: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """(pod, exit code, the line that it left) of workers that ended."""
    found = []
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses", ()):
            ended = status.get("state", {}).get("terminated")
            if status["name"] == training_job.CONTAINER and ended:
                found.append(
                    (pod["metadata"]["name"], ended["exitCode"], " ".join((ended.get("message") or "").split()))
                )
    return found


def exits(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """(pod, exit code) of workers that ended, at least once for each, in the order of their last events; one may count for several."""
    found = []
    for event in sorted(events, key=lambda each: each.get("lastTimestamp") or ""):
        if said := ENDED.search(event.get("message") or ""):
            found += [(said[1], int(said[2]))] * (event.get("count") or 1)
    return found


def not_created(events: list[dict[str, Any]]) -> str | None:
    """Why a worker's pod is not there: what the API server last said, like a quota that is used up."""
    found = [event for event in events if event.get("reason") == "FailedCreatePod"]
    if not found:
        return None
    message = max(found, key=lambda each: each.get("lastTimestamp") or "").get("message") or ""
    return " ".join(message[max(message.find("exceeded quota"), 0) :].split())[:200]


def short(pods: list[dict[str, Any]], workers: int) -> bool:
    """Not every worker has a node: those that do wait for it, give up after minutes, and are started again."""
    conditions = [condition for pod in pods for condition in pod.get("status", {}).get("conditions", ())]
    return len(pods) < workers or any(
        each["type"] == "PodScheduled" and each["status"] == "False" for each in conditions
    )


def waiting(pods: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(pod, reason, message) of workers that could not start yet."""
    found = []
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            if state := container.get("state", {}).get("waiting"):
                found.append((pod["metadata"]["name"], state.get("reason", ""), state.get("message", "")))
        for condition in status.get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                found.append((pod["metadata"]["name"], condition.get("reason", ""), condition.get("message", "")))
    return found


def running(pods: list[dict[str, Any]]) -> int:
    return sum(
        pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"] for pod in pods
    )


def line(
    arm: str, seed: int, seen: JobSnapshot, metrics: dict[str, Any] | None, *, steps: int, workers: int, now: float
) -> str:
    """train auxbn-1x seed 0: step 1200/5000, loss 1.23, 412 images/s, 2/2 workers, checkpoint 35 s old

    metrics: the last line of metrics.jsonl in the store; checkpoint_time and now in Unix seconds.
    """
    facts = [f"step {metrics['step'] if metrics else 0}/{steps}"]
    if metrics:
        facts += [f"loss {metrics['loss']:.3g}", f"{metrics['images_per_second']:.0f} images/s"]
    facts.append(f"{running(seen.pods)}/{workers} workers")
    if metrics and metrics.get("checkpoint_time"):
        facts.append(f"checkpoint {duration(max(0.0, now - metrics['checkpoint_time']))} old")
    waits = [
        f"worker-{name.rpartition('-')[2]} waits: {reason}: {message}" for name, reason, message in waiting(seen.pods)
    ]
    if len(seen.pods) < workers and (said := not_created(seen.events)):
        waits.append(f"{workers - len(seen.pods)} not created: {said}")
    facts += waits[:1]
    return f"train {arm} seed {seed}: {', '.join(facts)}"
