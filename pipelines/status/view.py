"""From a run's Workflow, its pods and their events to the lines that a person sees. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.status import explanations, pods
from pipelines.status.argo_nodes import Task, nodes_of
from pipelines.status.run_progress import RUN_STAGES, Count, RunProgress

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
    """What `watch` read. logs: the newest line of each running launcher, by the task's name; read: when pods, events and logs were."""

    workflow: dict
    now: datetime
    pods: list[dict] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    read: datetime | None = None


@dataclass(frozen=True)
class Line:
    """kind: head, stage, note, waiting, failure, fix or hint."""

    kind: str
    text: str


def span(seconds: float | None) -> str:
    """40 s, 9 m, 6 h 12 m, 3 d 4 h"""
    if seconds is None:
        return "?"
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    if hours < 72:
        return f"{hours} h {minutes:02d} m" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def amount(number: float) -> str:
    """1,204 or 2.18 M"""
    return f"{number / 1e6:.3g} M" if number >= 1e6 else f"{number:,.0f}"


def price(number: float) -> str:
    """1,012 or 9.46"""
    return f"{number:,.0f}" if number >= 100 else f"{number:,.2f}"


def lines(snapshot: Snapshot) -> list[Line]:
    measures = RunProgress(snapshot.workflow, snapshot.now, snapshot.pods)
    shown = [Line("head", head(measures)), *stages(measures, snapshot)]
    shown += [Line("note", text) for text in counts(measures)]
    shown += [Line("waiting", text) for text in waiting(measures, snapshot)]
    shown += [line for task in measures.failed()[:MOST_FAILURES] for line in failure(task)]
    more = len(measures.failed()) - MOST_FAILURES
    if more > 0:
        shown.append(Line("failure", f"and {more} more failed"))
    message = snapshot.workflow.get("status", {}).get("message")
    if message and not measures.failed() and not snapshot.workflow["spec"].get("shutdown"):
        shown.append(Line("failure", message))
    return shown


def head(measures: RunProgress) -> str:
    """Time left and cost are said of what they are of: training is measured once it takes steps."""
    status = measures.workflow.get("status", {})
    phase = status.get("phase", "")
    state = STATES.get(phase, phase)
    if measures.workflow["spec"].get("shutdown") and phase != "Succeeded":
        state = "stopped" if state == "failed" and not measures.failed() else "stopping" if state != "failed" else state
    facts = [measures.workflow["metadata"]["name"], f"{state} {span(measures.elapsed)}"]
    estimate = measures.estimate or {}
    planned = f" (plan {span(estimate['seconds'])})" if estimate.get("seconds") else ""
    left = measures.images_left() if phase == "Running" else None
    if left:
        facts.append(f"images left {span(left)}{planned}")
    elif planned:
        facts.append(f"images plan {span(estimate['seconds'])}")
    if phase == "Running" and not left and (training := measures.training_left()):
        planned = estimate.get("whole", {}).get("seconds", {}).get("train")
        facts.append(f"training left {span(training)}" + (f" (plan {span(planned)} on one GPU)" if planned else ""))
    if (spent := measures.spent()) is not None and estimate["images_left"]:
        facts.append(
            f"images cost {price(spent)}"
            + (f" of {price(estimate['cost'])}" if estimate.get("cost") is not None else "")
        )
    return "   ".join(facts)


def stages(measures: RunProgress, snapshot: Snapshot) -> list[Line]:
    """A line for each stage that is under way; one for all that wait or are a matter of minutes."""
    shown, short = [], []
    for stage in RUN_STAGES:
        count = measures.count(stage)
        if stage == "plan":
            if not count.done:
                shown.append(Line("stage", f"plan    {_word(measures, stage)}"))
        elif stage in ("prompts", "images") and count.total is not None:
            detail = _images(measures, snapshot) if stage == "images" else ""
            shown.append(Line("stage", f"{stage:<7} {bar(count)}  {count.done}/{count.total}{detail}"))
        elif stage == "train" and count.total and count.running:
            shown += _flush(short)
            shown.append(Line("stage", f"train   {bar(count)}  {count.done}/{count.total}"))
            shown += [
                Line("stage", f"        {_training(task, snapshot)}")
                for task in measures.of("train")
                if task.phase == "Running"
            ]
        elif stage in ("train", "evaluate"):
            short.append(f"{stage} {count.done}/{'?' if count.total is None else count.total}")
        else:
            short.append(f"{stage} {_word(measures, stage)}")
    return shown + _flush(short)


def _flush(short: list[str]) -> list[Line]:
    made = [Line("stage", "   ".join(short))] if short else []
    short.clear()
    return made


def bar(count: Count, width: int = BAR) -> str:
    full = width if not count.total else round(width * count.done / count.total)
    return "#" * full + "." * (width - full)


def _word(measures: RunProgress, stage: str) -> str:
    task = next(iter(measures.of(stage)), None)
    if task is None:
        return "waiting" if stage != "report" else "-"
    if task.stopped:
        return "stopped"
    return "starting" if task.phase == "Running" and not task.running else STATES.get(task.phase, task.phase.lower())


def _images(measures: RunProgress, snapshot: Snapshot) -> str:
    images = measures.images()
    facts = f" shards  {amount(images.done)}/{amount(images.total)}"
    if images.rate and images.gpus:
        planned = measures.estimate.get("rate")
        each = f"{images.rate:.3g} a GPU" + (f", plan {planned:.3g}" if planned else "")
        facts += f"  {images.rate * images.gpus:.3g} img/s ({each})"
    elif images.rate:
        facts += f"  {images.rate:.3g} img/s a GPU"
    running = [pod for pod in snapshot.pods if pod["status"].get("phase") == "Running" and pods.stage(pod) == "images"]
    if at_work := sum(pods.gpus(pod) for pod in running):
        limit = measures.gpu_limit
        facts += f"  {at_work}" + (f" of {limit} GPUs" if limit else " GPUs")
    return facts


def _training(task: Task, snapshot: Snapshot) -> str:
    """The launcher's own line says step, loss, rate, live workers and the age of the checkpoint."""
    if line := snapshot.logs.get(task.name):
        return line.removeprefix("train ")
    last = task.attempts[-1] if task.attempts else None
    return f"{task.unit}: " + (f"step {last.done:,}/{last.total:,}" if last and last.total else "starting")


def counts(measures: RunProgress) -> list[str]:
    """Rejects with their reasons, retries with their causes."""
    facts = []
    rejected, images = measures.rejects()
    if total := sum(rejected.values()):
        kinds = ", ".join(f"{reason} {number:,}" for reason, number in Counter(rejected).most_common())
        facts.append(f"rejects {total:,} ({100 * total / (images + total):.2g} %): {kinds}")
    retried = measures.retried()
    if retried:
        causes = Counter(explanations.cause(attempt) for _, attempt in retried)
        facts.append(
            f"retries {len(retried)}: " + ", ".join(f"{name} {number}" for name, number in causes.most_common())
        )
    shown = ["     ".join(facts)] if facts else []
    waiting_again = [
        (task, attempt) for task, attempt in retried if attempt is task.attempts[-1] or task.attempts[-1].code is None
    ]
    told = Counter(attempt.line for _, attempt in waiting_again if attempt.code == 170 and attempt.line)
    for line, number in told.most_common(2):
        task = next(task for task, attempt in waiting_again if attempt.line == line)
        others = f" and {number - 1} more" if number > 1 else ""
        shown.append(f"retrying {task.name}{others}: exit 170, {line}")
    return shown


def waiting(measures: RunProgress, snapshot: Snapshot) -> list[str]:
    """Pods that should run and do not, by reason, with the longest time."""
    grouped: dict[str, list[float]] = {}
    pending = [pod for pod in snapshot.pods if pod["status"].get("phase") == "Pending"]
    ours = {pod["metadata"]["uid"] for pod in pending}
    events = [event for event in snapshot.events if event["involvedObject"].get("uid") in ours]
    autoscaler = explanations.autoscaler(events)
    for pod in pending:
        if reason := explanations.pending(pod, events, autoscaler):
            begun = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            grouped.setdefault(reason, []).append((snapshot.now - begun).total_seconds())
    for node in nodes_of(measures.workflow).values():
        if node.get("phase") == "Pending" and (reason := explanations.quota(node.get("message", ""))):
            begun = datetime.fromisoformat(node["startedAt"])
            grouped.setdefault(reason, []).append((snapshot.now - begun).total_seconds())
    most = sorted(grouped.items(), key=lambda item: -len(item[1]))
    return [f"pending {len(ages)} for {span(max(ages))}   {reason}" for reason, ages in most[:3]]


def failure(task: Task) -> list[Line]:
    return [
        Line("failure", f"FAILED  {task.name}: {explanations.end(task)}, {task.line or 'no reason given'}"),
        Line("fix", f"        fix: {explanations.fix(task)}   log: {explanations.log_command(task)}"),
    ]
