"""Numbers of a run from its Workflow: counts, rate, time left, cost. Pure; what is not known is None."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from pipelines import names
from pipelines.status import argo_nodes, pods
from pipelines.status.argo_nodes import RETRIED, Attempt, Task
from synaug.run.stages import STAGES

FANNED = {
    name: stage.fan_out for name, stage in STAGES.items() if stage.fan_out
}  # stage -> plan's list of what is left
RUN_STAGES = ("plan", *STAGES)


@dataclass(frozen=True)
class Count:
    """Units of a stage: tasks (class shards, arms and seeds). running: those whose pod runs; total None: plan has not said yet."""

    done: int
    total: int | None
    running: int


@dataclass(frozen=True)
class Images:
    """done, total: images of the scale, those made before this Workflow included; rate: images/s of one GPU, as measured here."""

    done: int
    total: int
    rate: float | None
    gpus: int

    @property
    def seconds_left(self) -> float | None:
        if self.done >= self.total:
            return 0.0
        return (self.total - self.done) / (self.rate * self.gpus) if self.rate and self.gpus else None


class RunProgress:
    """Of one Workflow at one moment. seen: its pods, which alone know since when they run."""

    def __init__(self, workflow: dict, now: datetime, seen: Iterable[dict] = ()):
        self.workflow, self.now = workflow, now
        self.tasks, self.pods = argo_nodes.tasks(workflow), list(seen)
        self.by_node = {pods.node(pod): pod for pod in self.pods}
        self.estimate: dict | None = argo_nodes.output(workflow, "plan", "estimate")
        self.left = {name: argo_nodes.output(workflow, "plan", name) or [] for name in dict.fromkeys(FANNED.values())}
        status = workflow.get("status", {})
        self.started, self.ended = (
            argo_nodes.moment(status.get("startedAt")),
            argo_nodes.moment(status.get("finishedAt")),
        )

    def of(self, stage: str) -> list[Task]:
        return [task for task in self.tasks if task.stage == stage]

    @property
    def elapsed(self) -> float:
        return ((self.ended or self.now) - self.started).total_seconds() if self.started else 0.0

    def count(self, stage: str) -> Count:
        tasks = self.of(stage)
        done, running = sum(task.phase == "Succeeded" for task in tasks), sum(task.running for task in tasks)
        if stage not in FANNED:
            return Count(done, 1, running)
        if self.estimate is None:
            return Count(done, None, running)
        total = self.estimate["stages"][stage]["tasks"]
        return Count(total - len(self.left[FANNED[stage]]) + done, total, running)

    @property
    def gpu_limit(self) -> int | None:
        """Class shards at once: the chart's limits.gpus, as the Workflow has it."""
        templates = self.workflow.get("status", {}).get("storedWorkflowTemplateSpec", {}).get("templates", [])
        limits = [template.get("parallelism") for template in templates if template.get("name") == "shards"]
        return limits[0] if limits else None

    def images(self) -> Images | None:
        """None before plan has said how many there are."""
        if self.estimate is None:
            return None
        total, tasks = self.estimate["images"], self.of("images")
        base = self._made_before(total)
        begun = [task for task in tasks if task.attempts]
        done = sum(_done(task, base) for task in begun)
        left = len(self.left["shards"])
        whole = total if not left else round(total * (1 - left / self.estimate["stages"]["images"]["tasks"]))
        done = whole + done + base * (left - len(begun))
        finished = self.count("images")
        if finished.done == finished.total:
            done = total
        return Images(min(round(done), total), total, self._rate(tasks, base), finished.running)

    def _made_before(self, total: int) -> float:
        """Images that lay in each unfinished class shard when this Workflow's plan looked, in the mean."""
        shards, left = self.estimate["stages"]["images"]["tasks"], len(self.left["shards"])
        in_whole_shards = total * (1 - left / shards) if shards else 0
        return max(0.0, self.estimate["stages"]["images"]["done"] - in_whole_shards) / left if left else 0.0

    def _rate(self, tasks: list[Task], base: float) -> float | None:
        made, seconds = 0.0, 0.0
        for task in tasks:
            before = base
            for attempt in task.attempts:
                if attempt.summary.get("made"):
                    made, seconds = made + attempt.summary["made"], seconds + attempt.summary["seconds"]
                elif attempt.done > before and (ran := self._ran(attempt)):
                    made, seconds = made + attempt.done - before, seconds + ran
                before = max(before, attempt.done)
        return made / seconds if seconds else None

    def _ran(self, attempt: Attempt) -> float | None:
        """Seconds since the container of a running attempt began; None where its pod was not seen running."""
        pod = self.by_node.get(attempt.id)
        begun = pods.began(pod) if pod and attempt.running else None
        return (self.now - begun).total_seconds() if begun else None

    def rejects(self) -> tuple[dict[str, int], int]:
        """Of finished class shards: rejected attempts by reason, and images that those are among."""
        reasons: dict[str, int] = {}
        images = 0
        for task in self.of("images"):
            summary = task.attempts[-1].summary if task.attempts else {}
            images += summary.get("images", 0)
            for reason, number in summary.get("rejected", {}).items():
                reasons[reason] = reasons.get(reason, 0) + number
        return reasons, images

    def retried(self) -> list[tuple[Task, Attempt]]:
        """Attempts that failed and were followed, or will be, by another."""
        found = []
        for task in self.tasks:
            for attempt in task.attempts:
                last = attempt is task.attempts[-1]
                again = not last or (attempt.code in RETRIED and not task.failed)
                if attempt.phase in ("Failed", "Error") and again and not task.stopped:
                    found.append((task, attempt))
        return found

    def failed(self) -> list[Task]:
        """The first to fail first: others may follow from it."""
        return sorted((task for task in self.tasks if task.failed), key=lambda task: task.ended or self.now)

    def images_left(self) -> float | None:
        """Seconds, as fast as they are made now; before anything is measured, as plan has it. None while neither is known."""
        images = self.images()
        if images is None or images.seconds_left is not None:
            return images and images.seconds_left
        planned, left = self.estimate["seconds"], self.estimate["images_left"]
        return planned * (images.total - images.done) / left if planned is not None and left else None

    def training_left(self) -> float | None:
        """Seconds of training. Arms come one after another; those to come are taken for as long as the one that runs, or the last.

        None before a step is measured: plan makes no forecast of training.
        """
        count, rest, each = self.count("train"), 0.0, None
        for task in self.of("train"):
            if task.phase == "Succeeded" and each is None:
                each = sum((attempt.ended - attempt.created).total_seconds() for attempt in task.attempts)
            elif step := self._step(task):
                last = task.attempts[-1]
                rest, each = step * (last.total - last.done), step * last.total
        to_come = max(0, (count.total or 0) - count.done - count.running)
        return None if each is None else rest + each * to_come

    def _step(self, task: Task) -> float | None:
        """Seconds of a training step: the launcher's time, without that in which its first worker waited for a node."""
        before, last = (
            max((attempt.done for attempt in task.attempts[:-1]), default=0),
            task.attempts[-1] if task.attempts else None,
        )
        ran = self._ran(last) if last and last.done > before else None
        job = names.training_job(self.workflow["metadata"]["name"], task.inputs["arm"], int(task.inputs["seed"]))
        workers = [pod for pod in self.pods if pods.job(pod) == job]
        waits = [wait for pod in workers if (wait := pods.waited(pod)) is not None]
        if ran is None or (workers and not waits):
            return None
        return (ran - min(waits, default=0.0)) / (last.done - before)

    def spent(self) -> float | None:
        """Price of the GPUs of the images pods so far, in the currency of compute.price. Time in which a pod waits costs nothing."""
        price = (self.estimate or {}).get("price")
        if price is None:
            return None
        tasks = self.of("images")
        base, rate = (
            self._made_before(self.estimate["images"]),
            self._rate(tasks, self._made_before(self.estimate["images"])),
        )
        return sum(seconds for task in tasks for seconds in self._gpu_seconds(task, base, rate)) / 3600 * price

    def _gpu_seconds(self, task: Task, base: float, rate: float | None) -> Iterator[float]:
        """Of each attempt. One that is gone without a word took as long as its images take at the measured rate."""
        before = base
        for attempt in task.attempts:
            if attempt.running:
                yield (self._ran(attempt) or 0.0) * (
                    pods.gpus(self.by_node[attempt.id]) if attempt.id in self.by_node else 1
                )
            elif attempt.gpu_seconds is not None:
                yield attempt.gpu_seconds
            elif attempt.summary:
                yield attempt.summary["seconds"]
            elif rate:
                yield max(0.0, attempt.done - before) / rate
            before = max(before, attempt.done)


def _done(task: Task, base: float) -> float:
    last = task.attempts[-1]
    return last.summary.get("images") or max(base, *(attempt.done for attempt in task.attempts))
