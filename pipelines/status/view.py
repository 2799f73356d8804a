"""The lines that `make watch` shows, written from a Snapshot of a run: Workflow, pods, events, logs. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.status import explanations, pods
from pipelines.status.argo_nodes import NodeTask, nodes_of
from pipelines.status.run_progress import RUN_STAGES, RunProgress, StageCount
from synaug.run.progress import duration
from synaug.run.stages import STAGES, Scope

BAR = 10
MOST_FAILURES = 5
STATES = {
    "": "starting",
    "Pending": "starting",
    "Running": "running",
    "Succeeded": "done",
    "Failed": "failed",
    "Error": "failed",
}


@dataclass(frozen=True)
class Snapshot:
    """What `make watch` read of a run at one moment (read_snapshot.py).

    logs: the newest line of each running launcher, by the task's name; read: when pods, events and logs were read.
    """

    workflow: dict
    now: datetime
    pods: list[dict] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    read: datetime | None = None


@dataclass(frozen=True)
class Line:
    """A line of the display. kind: head, stage, note, waiting, failure, fix or hint."""

    kind: str
    text: str


def amount(number: float) -> str:
    """Spell a number of images: 1,204 or 2.18 M."""
    return f"{number / 1e6:.3g} M" if number >= 1e6 else f"{number:,.0f}"


def price(number: float) -> str:
    """Spell a price: 1,012 or 9.46."""
    return f"{number:,.0f}" if number >= 100 else f"{number:,.2f}"


def lines(snapshot: Snapshot) -> list[Line]:
    """Make the lines that show a run."""
    progress = RunProgress(snapshot.workflow, snapshot.now, snapshot.pods)
    shown = [Line("head", head(progress)), *stages(progress, snapshot)]
    shown += [Line("note", text) for text in counts(progress)]
    shown += [Line("waiting", text) for text in waiting(progress, snapshot)]
    shown += [line for task in progress.failed()[:MOST_FAILURES] for line in failure(task)]
    more = len(progress.failed()) - MOST_FAILURES
    if more > 0:
        shown.append(Line("failure", f"and {more} more failed"))
    message = snapshot.workflow.get("status", {}).get("message")
    if message and not progress.failed() and not snapshot.workflow["spec"].get("shutdown"):
        shown.append(Line("failure", message))
    return shown


def head(progress: RunProgress) -> str:
    """Make the first line: state, time left, cost.

    Time left and cost name what they are of: training is measured once it takes steps.
    """
    status = progress.workflow.get("status", {})
    phase = status.get("phase", "")
    state = STATES.get(phase, phase)
    if progress.workflow["spec"].get("shutdown") and phase != "Succeeded":
        state = "stopped" if state == "failed" and not progress.failed() else "stopping" if state != "failed" else state
    facts = [progress.workflow["metadata"]["name"], f"{state} {duration(progress.elapsed)}"]
    estimate = progress.estimate or {}
    planned = f" (plan {duration(estimate['seconds'])})" if estimate.get("seconds") else ""
    left = progress.images_left() if phase == "Running" else None
    if left:
        facts.append(f"images left {duration(left)}{planned}")
    elif planned:
        facts.append(f"images plan {duration(estimate['seconds'])}")
    if phase == "Running" and not left and (training := progress.training_left()):
        planned = estimate.get("whole", {}).get("seconds", {}).get("train")
        on_one_gpu = f" (plan {duration(planned)} on one GPU)" if planned else ""
        facts.append(f"training left {duration(training)}{on_one_gpu}")
    if (spent := progress.spent()) is not None and estimate["images_left"]:
        planned = f" of {price(estimate['cost'])}" if estimate.get("cost") is not None else ""
        facts.append(f"images cost {price(spent)}{planned}")
    return "   ".join(facts)


def stages(progress: RunProgress, snapshot: Snapshot) -> list[Line]:
    """Make a line for each stage that is under way, and one for all that wait or are a matter of minutes."""
    shown: list[Line] = []
    short: list[str] = []
    for stage in RUN_STAGES:
        count, scope = progress.count(stage), STAGES[stage].scope if stage in STAGES else None
        if stage == "plan":
            if not count.done:
                shown.append(Line("stage", f"plan    {_word(progress, stage)}"))
        elif scope is Scope.SHARD and count.total is not None:
            detail = _images(progress, snapshot) if stage == "images" else ""
            shown.append(Line("stage", f"{stage:<7} {bar(count)}  {count.done}/{count.total}{detail}"))
        elif stage == "train" and count.total and count.running:
            shown += _flush(short)
            shown.append(Line("stage", f"train   {bar(count)}  {count.done}/{count.total}"))
            shown += [
                Line("stage", f"        {_training(task, snapshot)}")
                for task in progress.of("train")
                if task.phase == "Running"
            ]
        elif scope is Scope.TRAINING:
            short.append(f"{stage} {count.done}/{'?' if count.total is None else count.total}")
        else:
            short.append(f"{stage} {_word(progress, stage)}")
    return shown + _flush(short)


def _flush(short: list[str]) -> list[Line]:
    lines = [Line("stage", "   ".join(short))] if short else []
    short.clear()
    return lines


def bar(count: StageCount, width: int = BAR) -> str:
    """Draw how much of a stage is done."""
    full = width if not count.total else round(width * count.done / count.total)
    return "#" * full + "." * (width - full)


def _word(progress: RunProgress, stage: str) -> str:
    task = next(iter(progress.of(stage)), None)
    if task is None:
        return "waiting" if stage != "report" else "-"
    if task.stopped:
        return "stopped"
    return "starting" if task.phase == "Running" and not task.running else STATES.get(task.phase, task.phase.lower())


def _images(progress: RunProgress, snapshot: Snapshot) -> str:
    images, estimate = progress.images(), progress.estimate
    if images is None or estimate is None:
        return ""
    facts = f" shards  {amount(images.done)}/{amount(images.total)}"
    if images.rate and images.gpus:
        planned = estimate.get("rate")
        each = f"{images.rate:.3g} a GPU" + (f", plan {planned:.3g}" if planned else "")
        facts += f"  {images.rate * images.gpus:.3g} img/s ({each})"
    elif images.rate:
        facts += f"  {images.rate:.3g} img/s a GPU"
    running = [pod for pod in snapshot.pods if pod["status"].get("phase") == "Running" and pods.stage(pod) == "images"]
    if busy := sum(pods.gpus(pod) for pod in running):
        limit = progress.gpu_limit
        facts += f"  {busy}" + (f" of {limit} GPUs" if limit else " GPUs")
    return facts


def _training(task: NodeTask, snapshot: Snapshot) -> str:
    """The launcher's own line has step, loss, rate, live workers and the age of the checkpoint."""
    if line := snapshot.logs.get(task.name):
        return line.removeprefix("train ")
    last = task.attempts[-1] if task.attempts else None
    return f"{task.unit}: " + (f"step {last.done:,}/{last.total:,}" if last and last.total else "starting")


def counts(progress: RunProgress) -> list[str]:
    """Make the lines of rejects with their reasons and retries with their causes."""
    facts = []
    rejects, retried = progress.rejects(), progress.retried()
    if total := sum(rejects.reasons.values()):
        kinds = ", ".join(f"{reason} {number:,}" for reason, number in Counter(rejects.reasons).most_common())
        facts.append(f"rejects {total:,} ({100 * total / (rejects.images + total):.2g} %): {kinds}")
    if retried:
        causes = Counter(explanations.name_cause(retry.attempt) for retry in retried)
        facts.append(
            f"retries {len(retried)}: " + ", ".join(f"{name} {number}" for name, number in causes.most_common())
        )
    shown = ["     ".join(facts)] if facts else []
    pending = [retry for retry in retried if retry.pending]
    reasons = Counter(retry.attempt.line for retry in pending if retry.attempt.code == 170 and retry.attempt.line)
    for line, number in reasons.most_common(2):
        task = next(retry.task for retry in pending if retry.attempt.line == line)
        others = f" and {number - 1} more" if number > 1 else ""
        shown.append(f"retrying {task.name}{others}: exit 170, {line}")
    return shown


def waiting(progress: RunProgress, snapshot: Snapshot) -> list[str]:
    """Make the lines of pods that should run and do not, by reason, with the longest time."""
    grouped: dict[str, list[float]] = {}
    pending = [pod for pod in snapshot.pods if pod["status"].get("phase") == "Pending"]
    uids = {pod["metadata"]["uid"] for pod in pending}
    events = [event for event in snapshot.events if event["involvedObject"].get("uid") in uids]
    autoscaler = explanations.explain_autoscaler(events)
    for pod in pending:
        if reason := explanations.explain_pending(pod, events, autoscaler):
            begun = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            grouped.setdefault(reason, []).append((snapshot.now - begun).total_seconds())
    for node in nodes_of(progress.workflow).values():
        if node.get("phase") == "Pending" and (reason := explanations.shorten_quota(node.get("message", ""))):
            begun = datetime.fromisoformat(node["startedAt"])
            grouped.setdefault(reason, []).append((snapshot.now - begun).total_seconds())
    most = sorted(grouped.items(), key=lambda item: -len(item[1]))
    return [f"pending {len(ages)} for {duration(max(ages))}   {reason}" for reason, ages in most[:3]]


def failure(task: NodeTask) -> list[Line]:
    """Make the lines of a failed task: how it ended, what to do."""
    return [
        Line("failure", f"FAILED  {task.name}: {explanations.describe_end(task)}, {task.line or 'no reason given'}"),
        Line("fix", f"        fix: {explanations.advise(task)}   log: {explanations.log_command(task)}"),
    ]
