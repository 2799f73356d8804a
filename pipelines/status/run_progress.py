"""Numbers of a run from its Workflow: counts, rate, time left, cost. Pure; what is not known is None."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines import names
from pipelines.status import argo_nodes, pods
from pipelines.status.argo_nodes import RETRIED, Attempt, NodeTask
from synaug.run.stages import STAGES

# stage -> plan's list of what is left
FANNED = {name: stage.fan_out for name, stage in STAGES.items() if stage.fan_out}
RUN_STAGES = ("plan", *STAGES)


@dataclass(frozen=True, kw_only=True)
class StageCount:
    """Units of a stage: tasks (class shards, arms and seeds).

    running: those whose pod runs; total None: plan has not reported yet.
    """

    done: int
    total: int | None
    running: int


@dataclass(frozen=True, kw_only=True)
class ImageCount:
    """Images of the scale, those made before this Workflow included; rate: images/s of one GPU, as measured here."""

    done: int
    total: int
    rate: float | None
    gpus: int

    @property
    def seconds_left(self) -> float | None:
        """Divide what is left by what all GPUs make; None while nothing is measured or runs."""
        if self.done >= self.total:
            return 0.0
        return (self.total - self.done) / (self.rate * self.gpus) if self.rate and self.gpus else None


@dataclass(frozen=True, kw_only=True)
class Rejects:
    """Of finished class shards: rejected attempts by reason, and the images that those are among."""

    reasons: dict[str, int] = field(default_factory=dict)
    images: int = 0


@dataclass(frozen=True, kw_only=True)
class Retry:
    """An attempt that failed and was followed, or will be, by another."""

    task: NodeTask
    attempt: Attempt

    @property
    def pending(self) -> bool:
        """Say whether the next attempt has not ended yet."""
        last = self.task.attempts[-1]
        return self.attempt is last or last.code is None


class RunProgress:
    """A Workflow at one moment. found: its pods, which alone know since when they run."""

    def __init__(self, workflow: dict, now: datetime, found: Iterable[dict] = ()):
        self.workflow, self.now = workflow, now
        self.tasks, self.pods = argo_nodes.tasks(workflow), list(found)
        self.by_node = {pods.argo_node_id(pod): pod for pod in self.pods}
        self.estimate: dict[str, Any] | None = argo_nodes.output(workflow, "plan", "estimate")
        self.left: dict[str, list] = {
            name: argo_nodes.output(workflow, "plan", name) or [] for name in dict.fromkeys(FANNED.values())
        }
        status = workflow.get("status", {})
        self.started, self.ended = (
            argo_nodes.moment(status.get("startedAt")),
            argo_nodes.moment(status.get("finishedAt")),
        )

    def of(self, stage: str) -> list[NodeTask]:
        """List the tasks of a stage."""
        return [task for task in self.tasks if task.stage == stage]

    @property
    def elapsed(self) -> float:
        """Measure the seconds since the run started, or that it took."""
        return ((self.ended or self.now) - self.started).total_seconds() if self.started else 0.0

    def count(self, stage: str) -> StageCount:
        """Count the tasks of a stage, those done before this Workflow included."""
        tasks = self.of(stage)
        done, running = sum(task.phase == "Succeeded" for task in tasks), sum(task.running for task in tasks)
        if stage not in FANNED:
            return StageCount(done=done, total=1, running=running)
        if self.estimate is None:
            return StageCount(done=done, total=None, running=running)
        total = self.estimate["stages"][stage]["tasks"]
        return StageCount(done=total - len(self.left[FANNED[stage]]) + done, total=total, running=running)

    @property
    def gpu_limit(self) -> int | None:
        """Read how many class shards run at once: the chart's limits.gpus, as the Workflow has it."""
        templates = self.workflow.get("status", {}).get("storedWorkflowTemplateSpec", {}).get("templates", [])
        limits = [template.get("parallelism") for template in templates if template.get("name") == "shards"]
        return limits[0] if limits else None

    def images(self) -> ImageCount | None:
        """Count the images; None before plan has reported how many there are."""
        if self.estimate is None:
            return None
        total, tasks = self.estimate["images"], self.of("images")
        base = self._made_before(self.estimate)
        begun = [task for task in tasks if task.attempts]
        left = len(self.left["shards"])
        whole = total if not left else round(total * (1 - left / self.estimate["stages"]["images"]["tasks"]))
        done = whole + sum(_done(task, base) for task in begun) + base * (left - len(begun))
        shards = self.count("images")
        if shards.done == shards.total:
            done = total
        return ImageCount(done=min(round(done), total), total=total, rate=self._rate(tasks, base), gpus=shards.running)

    def _made_before(self, estimate: dict[str, Any]) -> float:
        """Images that were in each unfinished class shard when this Workflow's plan looked, in the mean."""
        shards, left = estimate["stages"]["images"]["tasks"], len(self.left["shards"])
        in_whole_shards = estimate["images"] * (1 - left / shards) if shards else 0
        return max(0.0, estimate["stages"]["images"]["done"] - in_whole_shards) / left if left else 0.0

    def _rate(self, tasks: list[NodeTask], base: float) -> float | None:
        images, seconds = 0.0, 0.0
        for task in tasks:
            before = base
            for attempt in task.attempts:
                if attempt.summary.get("made"):
                    images, seconds = images + attempt.summary["made"], seconds + attempt.summary["seconds"]
                elif attempt.done > before and (ran := self._ran(attempt)):
                    images, seconds = images + attempt.done - before, seconds + ran
                before = max(before, attempt.done)
        return images / seconds if seconds else None

    def _ran(self, attempt: Attempt) -> float | None:
        """Seconds since the container of a running attempt began; None where its pod was not seen running."""
        pod = self.by_node.get(attempt.id)
        begun = pods.began(pod) if pod and attempt.running else None
        return (self.now - begun).total_seconds() if begun else None

    def rejects(self) -> Rejects:
        """Sum up the rejects of finished class shards."""
        reasons: dict[str, int] = {}
        images = 0
        for task in self.of("images"):
            summary = task.attempts[-1].summary if task.attempts else {}
            images += summary.get("images", 0)
            for reason, number in summary.get("rejected", {}).items():
                reasons[reason] = reasons.get(reason, 0) + number
        return Rejects(reasons=reasons, images=images)

    def retried(self) -> list[Retry]:
        """List the attempts that failed and were followed, or will be, by another."""
        found = []
        for task in self.tasks:
            for attempt in task.attempts:
                last = attempt is task.attempts[-1]
                again = not last or (attempt.code in RETRIED and not task.failed)
                if attempt.phase in ("Failed", "Error") and again and not task.stopped:
                    found.append(Retry(task=task, attempt=attempt))
        return found

    def failed(self) -> list[NodeTask]:
        """List the failed tasks, the first to fail first: others may follow from it."""
        return sorted((task for task in self.tasks if task.failed), key=lambda task: task.ended or self.now)

    def images_left(self) -> float | None:
        """Estimate the seconds of images that are left, as fast as they are made now.

        Before anything is measured, as plan has it. None while neither is known.
        """
        images = self.images()
        if images is None or self.estimate is None:
            return None
        if images.seconds_left is not None:
            return images.seconds_left
        planned, left = self.estimate["seconds"], self.estimate["images_left"]
        return planned * (images.total - images.done) / left if planned is not None and left else None

    def training_left(self) -> float | None:
        """Estimate the seconds of training that are left.

        Arms come one after another; those to come are taken for as long as the one that runs, or the last. None before
        a step is measured: plan makes no forecast of training.
        """
        count = self.count("train")
        running, each = 0.0, None
        for task in self.of("train"):
            if task.phase == "Succeeded" and each is None:
                each = sum(
                    (attempt.ended - attempt.created).total_seconds()
                    for attempt in task.attempts
                    if attempt.ended and attempt.created
                )
            elif step := self._step(task):
                last = task.attempts[-1]
                running, each = step * (last.total - last.done), step * last.total
        to_come = max(0, (count.total or 0) - count.done - count.running)
        return None if each is None else running + each * to_come

    def _step(self, task: NodeTask) -> float | None:
        """Seconds of a training step: the launcher's time, without that in which its first worker waited for a node."""
        if not task.attempts:
            return None
        *earlier, last = task.attempts
        before = max((attempt.done for attempt in earlier), default=0)
        ran = self._ran(last) if last.done > before else None
        job = names.training_job(self.workflow["metadata"]["name"], task.inputs["arm"], int(task.inputs["seed"]))
        workers = [pod for pod in self.pods if pods.job(pod) == job]
        waits = [wait for pod in workers if (wait := pods.waited(pod)) is not None]
        if ran is None or (workers and not waits):
            return None
        return (ran - min(waits, default=0.0)) / (last.done - before)

    def spent(self) -> float | None:
        """Price the GPUs of the images pods so far, in the currency of compute.price.

        Time in which a pod waits costs nothing.
        """
        if self.estimate is None or self.estimate.get("price") is None:
            return None
        tasks, base = self.of("images"), self._made_before(self.estimate)
        rate = self._rate(tasks, base)
        seconds = sum(seconds for task in tasks for seconds in self._gpu_seconds(task, base, rate))
        return seconds / 3600 * self.estimate["price"]

    def _gpu_seconds(self, task: NodeTask, base: float, rate: float | None) -> Iterator[float]:
        """Of each attempt. One that is gone without a summary took as long as its images take at the measured rate."""
        before = base
        for attempt in task.attempts:
            if attempt.running:
                gpus = pods.gpus(self.by_node[attempt.id]) if attempt.id in self.by_node else 1
                yield (self._ran(attempt) or 0.0) * gpus
            elif attempt.gpu_seconds is not None:
                yield attempt.gpu_seconds
            elif attempt.summary:
                yield attempt.summary["seconds"]
            elif rate:
                yield max(0.0, attempt.done - before) / rate
            before = max(before, attempt.done)


def _done(task: NodeTask, base: float) -> float:
    last = task.attempts[-1]
    return last.summary.get("images") or max(base, *(attempt.done for attempt in task.attempts))
