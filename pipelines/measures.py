"""Numbers of a run from its Workflow: counts, rate, time left, cost. Pure; what is not known is None."""

from dataclasses import dataclass
from datetime import datetime

from pipelines import nodes
from pipelines.nodes import RETRIED, Attempt, Task

FANNED = {"prompts": "shards", "images": "shards", "train": "trainings", "evaluate": "evaluations"}  # stage -> plan's list of what is left
RUN_STAGES = ("plan", "prompts", "images", "index", "train", "evaluate", "report")


@dataclass(frozen=True)
class Count:
    """Units of a stage: tasks (class shards, arms and seeds). total None: plan has not said yet."""

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


class Measures:
    """Of one Workflow at one moment."""

    def __init__(self, workflow: dict, now: datetime):
        self.workflow, self.now = workflow, now
        self.tasks = nodes.tasks(workflow)
        self.estimate: dict | None = nodes.output(workflow, "plan", "estimate")
        self.left = {name: nodes.output(workflow, "plan", name) or [] for name in ("shards", "trainings", "evaluations")}
        status = workflow.get("status", {})
        self.started, self.ended = nodes.moment(status.get("startedAt")), nodes.moment(status.get("finishedAt"))

    def of(self, stage: str) -> list[Task]:
        return [task for task in self.tasks if task.stage == stage]

    @property
    def elapsed(self) -> float:
        return ((self.ended or self.now) - self.started).total_seconds() if self.started else 0.0

    def count(self, stage: str) -> Count:
        tasks = self.of(stage)
        done, running = sum(task.phase == "Succeeded" for task in tasks), sum(task.phase == "Running" for task in tasks)
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
                elif attempt.code is None and attempt.done > before:
                    made, seconds = made + attempt.done - before, seconds + attempt.seconds(self.now)
                before = max(before, attempt.done)
        return made / seconds if seconds else None

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

    def seconds_left(self) -> float | None:
        """Of images and training, as fast as they go now; None while neither is known."""
        images, trained = self.images(), self._training_left()
        made = images.seconds_left if images else None
        if made is None:
            planned = (self.estimate or {}).get("seconds")
            return max(0.0, planned - self.elapsed) if planned is not None else None
        return made + trained if trained is not None else made or None

    def _training_left(self) -> float | None:
        """Arms come one after another; steps of those to come are taken for those of the one that runs."""
        tasks = self.of("train")
        measured = [(t, t.attempts[-1]) for t in tasks if t.attempts and t.attempts[-1].done]
        if not measured:
            return None
        count = self.count("train")
        task, attempt = measured[-1]
        whole = attempt.seconds(self.now) * attempt.total / attempt.done
        rest = whole * (1 - attempt.done / attempt.total) if task.phase == "Running" else 0.0
        return rest + whole * max(0, (count.total or 0) - count.done - count.running)

    def spent(self) -> float | None:
        """Price of the images pods' time so far, in the currency of compute.price."""
        price = (self.estimate or {}).get("price")
        if price is None:
            return None
        return sum(attempt.seconds(self.now) for task in self.of("images") for attempt in task.attempts) / 3600 * price


def _done(task: Task, base: float) -> float:
    last = task.attempts[-1]
    return last.summary.get("images") or max(base, *(attempt.done for attempt in task.attempts))
