"""plan.json: what the first plan froze, and what the latest one estimates of all that is left."""

from typing import Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from synaug.config import Config
from synaug.config.settings import FrozenModel
from synaug.data.classes import ClassEntry
from synaug.errors import ModelError
from synaug.run import quotas, stages
from synaug.run.stages import Task, Training


class ModelInfo(FrozenModel):
    """A model that a run uses, resolved."""

    role: str = Field(description="llm, clip or diffusion")
    name: str
    revision: str = Field(description="Commit, version or digest; never a branch")
    license: str
    restricted: bool = False


class Forecast(FrozenModel):
    """The time and cost of all that is left of a run; None: a stage with work left is unmeasured.

    Stages that take seconds, as the table of stages says, are in none of the numbers.
    """

    seconds: dict[str, float | None] = Field(description="Of work by stage, all processes together")
    wall_seconds: float | None = Field(description="Of the whole run, `workers` processes side by side")
    workers: int
    gpu_hours: float | None
    price: float | None
    cost: float | None
    cost_at_least: float | None = Field(description="Of what is measured: the cost, where all is")
    unmeasured: list[str] = Field(description="Stages with work left and no rate")


class ImagesEstimate(FrozenModel):
    """The images up to a scale; hours and cost are of those that are left to make. None: unmeasured."""

    scale: int
    multiples: list[int] = Field(description="Those with work left")
    images: int
    images_left: int
    tars: int
    bytes: int | None
    rate: float | None = Field(description="Images a second of one GPU")
    rate_source: str
    gpus: int
    gpu_hours: float | None
    wall_hours: float | None
    longest_shard_hours: float | None
    price: float | None
    cost: float | None


class Estimate(ImagesEstimate):
    """What a plan expects: of the images, and of the whole run."""

    whole: Forecast


class Plan(FrozenModel):
    digest: str = Field(description="SHA-256 over the identity fields, classes and counts")
    classes: list[ClassEntry]
    real_counts: dict[str, int] = Field(description="Real training images used of each class id, in label order")
    class_shards: list[list[str]] = Field(description="Class ids of each shard")
    part_images: int
    models: list[ModelInfo]
    styles: list[str]
    scale: int = Field(description="Of the latest plan; growable")
    pool: str | None = Field(None, description="GPU pool that the images are made on, once a plan named one")
    estimate: Estimate | None = Field(
        None, description="Null while the plan is being made, and read as null where another version wrote other fields"
    )
    versions: dict[str, str]
    run_yaml: str | None = Field(
        None, description="SHA-256 of the run.yaml that belongs to it; null in plans from before it was recorded"
    )

    @field_validator("estimate", mode="wrap")
    @classmethod
    def _estimate_of_this_version(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Estimate | None:
        """Read an estimate of other fields as none: it is of a moment, and planning again makes it."""
        try:
            return validate(value)
        except ValidationError:
            if isinstance(value, dict):
                return None
            raise

    def parts(self, config: Config, shard: int, multiple: int) -> list[quotas.Part]:
        """List the parts of one class shard in x{multiple}."""
        return quotas.parts(
            self.real_counts,
            config.counts,
            self.class_shards[shard],
            multiple=multiple,
            shard=shard,
            part_images=self.part_images,
            seed=config.seed,
        )

    def shard_parts(self, config: Config, shard: int) -> list[quotas.Part]:
        """List the parts of one class shard up to the planned scale, multiple by multiple."""
        return [part for multiple in range(1, self.scale + 1) for part in self.parts(config, shard, multiple)]

    def flow(self, config: Config) -> list[list[list[Task]]]:
        """Order the run as stages.flow does, trainings seed by seed: a first comparison of all arms comes early."""
        seed_by_seed = sorted(trainings(config), key=lambda training: config.seeds.index(training.seed))
        return stages.flow(len(self.class_shards), seed_by_seed)

    @property
    def labels(self) -> dict[str, int]:
        return {entry.id: n for n, entry in enumerate(self.classes)}


def active_arms(config: Config) -> list[str]:
    """List the arms that the run's scale reaches; the others wait until it grows."""
    return [name for name, arm in config.arms.items() if arm.multiple is None or arm.multiple <= config.multiple]


def trainings(config: Config) -> list[Training]:
    """List every active arm with each training seed, arm by arm."""
    return [Training(arm, seed) for arm in active_arms(config) for seed in config.seeds]


def check_planned(plan: Plan, *models: ModelInfo) -> None:
    """Compare loaded models with those that the run was planned with, to the commit. Raises ModelError."""
    planned = {model.role: model.revision for model in plan.models}
    for model in models:
        if planned.get(model.role, model.revision) != model.revision:
            raise ModelError(
                f"{model.name} is at revision {model.revision} here, the run was planned with {planned[model.role]}; "
                "bring those weights back, or plan another --run with these"
            )
