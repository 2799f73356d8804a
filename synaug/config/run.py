"""The whole of run.yaml, and its small sections; `prompts:`, `images:` and `training:` have files of their own."""

from typing import Annotated, Literal

from pydantic import Field

from synaug.config.images import Images
from synaug.config.prompts import Prompts
from synaug.config.scale import SCALE_PATTERN, parse_scale
from synaug.config.settings import FrozenModel, execution, growable, identity
from synaug.config.training import Arm, LoaderSettings, TrainingSettings


class Real(FrozenModel):
    """`real:` the labelled images that the set grows from."""

    train: str = identity("train", "Split of the real training images, as `synaug import` named it")
    per_class: int | None = identity(
        None,
        "Use this many training images of each class, a seeded nested subset (10 lies within 50); null: all",
        unit="images",
        ge=1,
    )
    largest_to_smallest: float | None = identity(
        None,
        "Cut the classes to an exponential long tail with this ratio of the largest to the smallest; null: no cut",
        ge=1,
    )


class IndexSettings(FrozenModel):
    """`index:` which of the images count as the set."""

    min_clip_score: float | None = growable(
        None, "Leave out images whose CLIP score is below; null: keep all", unit="cosine similarity"
    )


class TestSet(FrozenModel):
    """Of `tests:` one of the labelled sets that arms are evaluated on."""

    __test__ = False  # not a pytest class

    split: str = growable(..., "Imported split of the store")
    domain: Literal["in", "out"] = growable("in", "Whether it comes from the real images' domain")
    subset: str | None = growable(
        None,
        "`imagenet-a` or `imagenet-r`: 200-way by timm's lists; null: the classes that the set holds labels for, among "
        "all",
    )
    note: str = growable("", "One line about where it comes from, shown beside its results")


class Compute(FrozenModel):
    """`compute:` where a run is carried out, and what the estimate knows of it."""

    device: str = execution("auto", "auto, cpu, cuda or cuda:N")
    workers: int = execution(0, "Processes of the local runner; 0: one per core on a CPU, one on each GPU", ge=0)
    local_gpus: Literal["auto"] | Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=0)]] = execution(
        "auto", "GPUs of this machine that `run` and `preview` use: auto (all visible), a number, or a list like [0, 2]"
    )
    gpus_per_training: int = execution(1, "GPUs of this machine that each training is spread over, by torchrun", ge=1)
    loader_threads: int = execution(4, "Threads that decode images for training", ge=1)
    gpus: int = execution(1, "GPUs that the estimate assumes; `run` and `preview` use compute.local_gpus", ge=1)
    gpu_name: str | None = execution(None, "GPU that the estimate assumes, for its printed lines")
    price: float | None = execution(None, "Price of a GPU-hour", unit="per GPU-hour", ge=0)
    pool: str | None = execution(
        None, "Name of the GPU pool that a run is made on; recorded, another one for a begun run is refused"
    )
    stall_minutes: float | None = execution(
        15.0, "A stage without progress for so long ends, to be tried again", unit="minutes", gt=0
    )
    rate: float | None = execution(
        None, "Images a second of one GPU; null: as preview measured, else unmeasured", unit="images/s", gt=0
    )


class Limits(FrozenModel):
    """`limits:` what is asked before a run begins."""

    cost: float | None = execution(None, "Ask before a run that costs more", ge=0)


class Config(FrozenModel):
    """Everything that a run is asked for."""

    seed: int = identity(0, "Seed of every draw that makes the set", ge=0)
    classes: str | list[dict] = identity("classes.yaml", "imagenet-1k, a YAML file beside run.yaml, or the list itself")
    context: str = identity("", "What all images are, like `aerial photograph`; enters LLM and image prompts")
    real: Real = Real()
    counts: Literal["proportional", "balanced"] = identity(
        "proportional", "k images for each real one, or the smallest classes first"
    )
    scale: str = growable("1x", "Synthetic images for each real one", pattern=SCALE_PATTERN)
    max_scale: int = identity(6, "Scale that class shards are cut for; larger ones work, in longer pods", ge=1)
    shard_hours: float = identity(1.0, "Work of one class shard at max_scale on the configured GPU", unit="hours", gt=0)
    class_shards: int | None = identity(
        None, "Number of class shards; null: from shard_hours, at most 500", ge=1, le=500
    )
    prompts: Prompts = Prompts()
    images: Images = Images()
    threads: int = identity(1, "CPU threads of the models that make prompts and images; CPU output depends on it", ge=1)
    index: IndexSettings = IndexSettings()
    training: TrainingSettings = TrainingSettings()
    loader: LoaderSettings = LoaderSettings()
    arms: dict[str, Arm] = growable(dict, "Arms by name")
    seeds: list[int] = growable(lambda: [0], "Training seeds of every arm", min_length=1)
    tests: dict[str, TestSet] = growable(dict, "Test sets by name")
    oracle: str | None = growable(
        None, "Split that `oracle` arms take in place of synthetic images (embedded default only)"
    )
    compute: Compute = Field(default=Compute())
    limits: Limits = Field(default=Limits())

    @property
    def multiple(self) -> int:
        """The scale as a number, 6 for `6x`."""
        return parse_scale(self.scale)
