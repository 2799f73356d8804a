"""The stages of a run: the one table of them, and the order that follows from it.

Only the standard library is imported here. A new stage is a row here and its module, synaug/stages/NAME.py, with HELP,
EPILOG, `run(job)` and, where it takes more arguments than its scope says, `add_arguments(parser)`. Command line, local
runner, status, forecast, report and the workflow go by the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """How often a stage is done in a run; the arguments that say which of its tasks is meant follow from it."""

    RUN = "once"
    SHARD = "class shard"
    TRAINING = "arm and seed"


class Proof(StrEnum):
    """What in the store proves that a task is done and current; run/completion.py looks for it."""

    RECORD = "a completion record, which the runner writes after the stage"
    PROMPTS = "a prompts file for each class"
    MANIFESTS = "a manifest for each part"
    INDEX = "an index of this plan, scale and filter that lists every part"
    TRAINING = "done.json of an arm with these very settings"
    EVALUATION = "a result on every test set, of this training and of the split as it is imported now"
    REPORT = "the report, where nothing else is left"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One row of the table; `name` is also the module, synaug.stages.NAME."""

    name: str
    unit: str  # what its progress counts
    scope: Scope
    # The stage that it waits for. Where that has the same scope, a task waits for its own task there; otherwise for all
    # tasks of it. None: it waits for the plan alone.
    follows: str | None
    proof: Proof = Proof.RECORD
    renewed_by: str | None = None  # stage of the same scope: a task is repeated while its task there still has work
    counted: str | None = None  # key in the timing file that holds the number of units; None: one unit
    rated: str | None = None  # unit of the `rate` in the timing file, which the report shows; None: it shows no rate
    fan_out: str | None = None  # name of plan's list of unfinished tasks, one pod for each; None: one pod
    models: tuple[str, ...] = ()  # of llm, clip and diffusion; a process lets go of the others when the stage begins
    needs_less: str = "a machine with more memory"  # what to do when its memory runs out
    takes_hours: bool = True  # part of the forecast; False: done in seconds, left out of it


STAGES: dict[str, Stage] = {
    row.name: row
    for row in (
        Stage(
            name="prompts",
            unit="class",
            scope=Scope.SHARD,
            follows=None,
            proof=Proof.PROMPTS,
            models=("llm", "clip"),
            needs_less="a smaller prompts.llm.model or prompts.clip.model, or compute.device=cpu for this stage",
            counted="classes",
            rated="classes",
            fan_out="shards",
        ),
        Stage(
            name="images",
            unit="image",
            scope=Scope.SHARD,
            follows="prompts",
            proof=Proof.MANIFESTS,
            models=("diffusion", "clip"),
            needs_less="a smaller images.batch_size, images.width and images.height, or a smaller images.profile",
            counted="images",
            rated="images",
            fan_out="shards",
        ),
        Stage(name="index", unit="index", scope=Scope.RUN, follows="images", proof=Proof.INDEX, takes_hours=False),
        Stage(
            name="train",
            unit="step",
            scope=Scope.TRAINING,
            follows="index",
            proof=Proof.TRAINING,
            needs_less="training.amp=bfloat16, a smaller training.batch_size, image_size or model, or more GPUs",
            counted="steps",
            rated="steps",
            fan_out="trainings",
        ),
        Stage(
            name="evaluate",
            unit="evaluation",
            scope=Scope.TRAINING,
            follows="train",
            proof=Proof.EVALUATION,
            renewed_by="train",
            needs_less="a smaller training.test_image_size, fewer compute.workers, or compute.device=cpu",
            rated="images",
            fan_out="evaluations",
        ),
        Stage(name="report", unit="report", scope=Scope.RUN, follows="evaluate", proof=Proof.REPORT, takes_hours=False),
    )
}  # in the order of a run


@dataclass(frozen=True, kw_only=True)
class Task:
    """One stage command: what a pod, or a worker of the local runner, is given."""

    stage: str
    shard: int | None = None
    arm: str | None = None
    seed: int | None = None
    join: tuple[str, ...] = ()  # runs that a report shows beside

    @property
    def unit(self) -> str:
        """Name what the task is of: `017` a class shard, `auxbn-2x-0` a training, `all` what is done once."""
        if self.shard is not None:
            return f"{self.shard:03d}"
        return f"{self.arm}-{self.seed}" if self.arm is not None else "all"

    @property
    def name(self) -> str:
        return self.stage if self.unit == "all" else f"{self.stage}-{self.unit}"

    @property
    def arguments(self) -> str:
        """Write the task as on the command line: `images --shard 17`."""
        options = {"shard": self.shard, "arm": self.arm, "seed": self.seed}
        return " ".join([self.stage, *(f"--{name} {value}" for name, value in options.items() if value is not None)])


@dataclass(frozen=True)
class Training:
    """An arm and one of its training seeds."""

    arm: str
    seed: int


def long_stages() -> list[str]:
    """Name the stages whose time a forecast counts, in the order of a run."""
    return [name for name, stage in STAGES.items() if stage.takes_hours]


def tasks(stage: Stage, shards: int, trainings: Sequence[Training]) -> list[Task]:
    """List the tasks of a stage in a run of so many class shards and these trainings."""
    if stage.scope is Scope.SHARD:
        return [Task(stage=stage.name, shard=shard) for shard in range(shards)]
    if stage.scope is Scope.TRAINING:
        return [Task(stage=stage.name, arm=training.arm, seed=training.seed) for training in trainings]
    return [Task(stage=stage.name)]


def flow(shards: int, trainings: Sequence[Training]) -> list[list[list[Task]]]:
    """Order a run: groups one after another, the chains of a group side by side, the tasks of a chain in order.

    A stage that follows one of its own scope goes on where that one's task ends; any other waits for all before it.
    """
    groups: list[list[list[Task]]] = []
    before: Stage | None = None
    for stage in STAGES.values():
        own = tasks(stage, shards, trainings)
        if before and stage.follows == before.name and stage.scope is before.scope is not Scope.RUN:
            for chain, task in zip(groups[-1], own, strict=True):
                chain.append(task)
        else:
            groups.append([[task] for task in own])
        before = stage
    return groups
