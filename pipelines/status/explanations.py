"""Why pods wait, fail and are tried again, in words, and what to do about it. Pure."""

import re

from pipelines.status.argo_nodes import LOST, Attempt, NodeTask

# What ended an attempt, in a word or two: by its exit code, and for exit 170 (transient) by the stage's own line.
CAUSES_BY_CODE: dict[int | None, str] = {LOST: "preempted", 143: "preempted", 137: "killed", 64: "Argo's executor"}
TRANSIENT_CAUSES = [  # pattern in the line -> cause; the first that matches
    (r"\bthe hub\b", "hub"),
    (r"\b(s3|file)://|\bthe store\b|stayed (out of reach after|busy or broken)", "store"),
    (r"\bAPI server\b", "API server"),
    (r"\bno progress\b", "stalled"),
    (r"\b(ranks?|peers?|workers?|PyTorchJob)\b", "lost peer"),
]
# What to do about a failed task.
TRANSIENT_FIXES: dict[str | None, str] = {  # exit 170 on every attempt, by the cause; None: of no known cause
    "hub": "bring the hub into reach of the pods, or have the models in a claim (models.claim of the chart), then make "
    "submit",
    "store": "bring the store or endpoint back (store.url, store.endpoint of the chart), then make submit",
    "API server": "once the cluster's API server is back, make submit",
    "stalled": "the log has the stacks of its threads; for work that is only slow, more compute.stall_minutes; then "
    "make submit",
    "lost peer": "workers were lost again and again: look at their nodes' events and the network, then make submit: it "
    "goes on",
    None: "what it waited for did not come back; the log says more; then make submit",
}
NODES = re.compile(r"(\d+)/(\d+) nodes are available: (.*?)(?: preemption: .*|$)", re.DOTALL)
SCALING = re.compile(r"pod didn't trigger scale-up[^:]*: (.*)", re.DOTALL)
WAITING_REASONS = {  # a container's waiting reason that does not pass by itself -> what to do
    "ImagePullBackOff": "the image cannot be pulled: image.repository, image.tag and imagePullSecrets of the chart",
    "ErrImagePull": "the image cannot be pulled: image.repository, image.tag and imagePullSecrets of the chart",
    "InvalidImageName": "image.repository or image.tag of the chart is no image's name",
    "CreateContainerConfigError": "a Secret or ConfigMap that the chart names is missing: store.secret, "
    "models.tokenSecret",
    "CrashLoopBackOff": "the container ends at once; its log says why",
}
FIXES_BY_CODE: dict[int | None, str] = {  # all other exit codes
    2: "repair the configuration, then make submit",
    3: "do what the line says, then make submit: what is done stays done",
    4: "a model, licence or token that can be used (models.tokenSecret of the chart), then make submit",
    64: "Argo's own executor failed: its log is `kubectl logs POD -c wait`; then make submit",
    70: "a defect of synaug: the log says where; please report it",
    143: "it was ended again and again: look at the nodes' preemptions and the quota, then make submit",
    137: "the node killed it, not for its own limit of memory: look at the node's memory and the pod's events, then "
    "make submit",
    LOST: "its pods were lost again and again: look at the nodes' events, then make submit",
}


def name_cause(attempt: Attempt) -> str:
    """Name an attempt's end in a word or two."""
    if attempt.out_of_memory:
        return "out of memory"
    transient = _transient_cause(attempt.line) if attempt.code == 170 else None
    return transient or CAUSES_BY_CODE.get(attempt.code, f"exit {attempt.code}")


def _transient_cause(line: str) -> str | None:
    return next((name for pattern, name in TRANSIENT_CAUSES if re.search(pattern, line)), None)


def advise(task: NodeTask) -> str:
    """Say what to do about a failed task."""
    if task.out_of_memory:
        return f"more memory: pods.{task.stage}.resources.limits.memory of the chart, helm upgrade, then make submit"
    if is_overdue(task):
        return f"more time: pods.{task.stage}.deadlineHours of the chart, helm upgrade, then make submit: it goes on"
    if is_refused(task):
        return (
            "the cluster does not admit the pod: repair the chart's values by that line, helm upgrade, then make submit"
        )
    if task.code == 170:
        return TRANSIENT_FIXES[_transient_cause(task.line)]
    return FIXES_BY_CODE.get(task.code, "the log says more; then make submit")


def describe_end(task: NodeTask) -> str:
    """Say how a failed task ended: `exit 4`, or what happened to its pod."""
    if is_overdue(task):
        return "out of time"
    if task.code in (None, LOST):
        return "no pod" if is_refused(task) else "its pod is gone"
    return f"exit {task.code}"


def is_overdue(task: NodeTask) -> bool:
    """Say whether the activeDeadlineSeconds of its pod are over."""
    return "DeadlineExceeded" in task.message or "longer than the specified deadline" in task.line


def is_refused(task: NodeTask) -> bool:
    """Say whether the API server did not take its pod."""
    return re.search(r"is (forbidden|invalid)", task.message + task.line) is not None


def log_command(task: NodeTask) -> str:
    """Spell the command that shows a task's log."""
    if "shard" in task.inputs:
        stage = "" if task.stage == "images" else f" STAGE={task.stage}"
        return f"make logs SHARD={int(task.inputs['shard'])}{stage}"
    if "arm" in task.inputs:
        stage = "" if task.stage == "train" else f" STAGE={task.stage}"
        return f"make logs ARM={task.inputs['arm']} SEED={task.inputs['seed']}{stage}"
    return f"make logs STAGE={task.stage}"


def explain_pending(pod: dict, events: list[dict], autoscaler: str | None = None) -> str | None:
    """Say why a pod that should run does not; None while it is only starting. autoscaler: why no node is added."""
    scheduled: dict = next((c for c in pod["status"].get("conditions", []) if c["type"] == "PodScheduled"), {})
    of_pod = [e for e in events if e["involvedObject"].get("uid") == pod["metadata"].get("uid")]
    if scheduled.get("status") == "False":
        message = scheduled.get("message") or _last(of_pod, "FailedScheduling") or "no node yet"
        return shorten_unschedulable(message) + (f" (autoscaler: {autoscaler})" if autoscaler else "")
    status = pod["status"]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in WAITING_REASONS:
            return f"{_short(waiting.get('message') or waiting['reason'])}: {WAITING_REASONS[waiting['reason']]}"
    for reason in ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"):
        if message := _last(of_pod, reason):
            return _short(message)
    return None


def shorten_unschedulable(message: str) -> str:
    """Shorten the scheduler's message.

    `0/71 nodes are available: 64 Insufficient nvidia.com/gpu, 7 ...` -> `0/71 nodes: insufficient nvidia.com/gpu`
    """
    found = NODES.search(message)
    if not found:
        return _short(message)
    rest = re.sub(r"\b\d+ (?=[A-Za-z])", "", found[3]).strip().rstrip(".")
    return f"{found[1]}/{found[2]} nodes: {_short(rest[:1].lower() + rest[1:])}"


def explain_autoscaler(events: list[dict]) -> str | None:
    """Say why the cluster autoscaler adds no node, by its last event of any of the pods."""
    message = _last(events, "NotTriggerScaleUp")
    if message is None:
        return None
    found = SCALING.search(message)
    reason = re.sub(r"\b\d+ (?=[A-Za-z])", "", found[1] if found else message)
    return _short(reason.replace("max node group size reached", "max size reached"))


def shorten_quota(message: str) -> str | None:
    """Shorten the message of a node that waits because the namespace's quota is used up; None for others."""
    if "exceeded quota" not in message:
        return None
    return _short("exceeded quota" + message.split("exceeded quota", 1)[1])


def _last(events: list[dict], reason: str) -> str | None:
    found = [e for e in events if e.get("reason") == reason]
    return max(found, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")["message"] if found else None


def _short(text: str, length: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
