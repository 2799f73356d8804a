"""`training:` what every arm shares, and `arms:` what tells them apart."""

from typing import Any, Literal

from synaug.config.scale import SCALE_PATTERN, parse_scale
from synaug.config.settings import FrozenModel, growable

ArmKind = Literal["real", "real-half", "naive", "auxbn", "oracle"]
PromptKind = Literal["plain", "cd", "sd"]


class Augmentation(FrozenModel):
    """`training.augmentation:` what is done to a training image."""

    crop: Literal["random-resized", "pad", "none"] = growable(
        "random-resized", "Random crop: of a random area, or after padding by an eighth"
    )
    min_scale: float = growable(0.08, "Smallest area of a random resized crop", gt=0, le=1)
    flip: bool = growable(True, "Mirror half of the images")
    auto: str | None = growable(None, "timm's auto-augment string, like rand-m9-mstd0.5")
    erase: float = growable(0.0, "Probability of random erasing", ge=0, le=1)
    mixup: float = growable(0.0, "Mixup alpha, within the real and within the synthetic slice", ge=0)
    cutmix: float = growable(0.0, "CutMix alpha, within each slice", ge=0)


class TrainingSettings(FrozenModel):
    """Training settings of an arm; an arm's own values win over `training:`."""

    model: str = growable("resnet50", "Any timm model")
    model_kwargs: dict[str, Any] = growable(dict, "Arguments for timm.create_model")
    pretrained: str | None = growable(
        None, "File of weights to start from, or `timm` for the model's own; null: random"
    )
    image_size: int = growable(224, "Side of the training images", unit="pixels", ge=8)
    test_image_size: int | None = growable(None, "Side at test; null: image_size", unit="pixels", ge=8)
    test_crop: float = growable(0.875, "Side of the centre crop at test, as a part of the resized side", gt=0, le=1)
    batch_size: int = growable(
        256, "Images of an optimizer step over all ranks, real and synthetic together", unit="images", ge=2
    )
    synthetic_share: float = growable(
        0.5,
        "Synthetic images of a mixed arm's batch, as a part of batch_size (rounded to whole images, at least one of "
        "each)",
        gt=0,
        lt=1,
    )
    steps: int = growable(100_000, "Optimizer steps (real-half takes half)", ge=1)
    optimizer: Literal["sgd", "adamw", "lamb"] = growable("sgd", "timm's optimizer")
    lr: float = growable(0.1, "Peak learning rate", gt=0)
    weight_decay: float = growable(5e-5, "Not applied to biases and norms", ge=0)
    momentum: float = growable(0.9, "SGD momentum, or beta1", ge=0, lt=1)
    warmup_steps: int = growable(0, "Steps of linear warm-up; cosine to zero after it", ge=0)
    label_smoothing: float = growable(0.1, "Share of the target spread over all classes", ge=0, lt=1)
    synthetic_weight: float = growable(0.5, "w: loss = (1-w) mean(real) + w mean(synthetic)", ge=0, le=1)
    ema: float | None = growable(None, "Decay of the weights' moving average, warmed up; null: none", gt=0, lt=1)
    amp: Literal["none", "bfloat16", "float16"] = growable("none", "Mixed precision")
    channels_last: bool = growable(False, "Memory format")
    compile: bool = growable(False, "torch.compile the model")
    sync_bn: bool = growable(False, "Batch statistics over all ranks (GPU only)")
    augmentation: Augmentation = growable(Augmentation, "Training-time augmentation")


class Arm(FrozenModel):
    """Under a name that says its scale: auxbn-6x. Any field of `training:` may be set in `settings`."""

    kind: ArmKind = growable(..., "real | real-half | naive | auxbn | oracle")
    scale: str | None = growable(
        None,
        "Pool that the synthetic images of a batch are drawn from, like 2x; null: the run's scale",
        pattern=SCALE_PATTERN,
    )
    prompt_kinds: list[PromptKind] | None = growable(None, "Use only images of these prompt kinds; null: all")
    pool_images: int | None = growable(
        None, "Cut the pool to this many images, seeded and balanced over classes; null: no cut", unit="images", ge=1
    )
    settings: dict[str, object] = growable(dict, "Training settings that differ from `training:`")

    @property
    def multiple(self) -> int | None:
        """The arm's scale as a number, 2 for `2x`; None where it takes the run's."""
        return None if self.scale is None else parse_scale(self.scale)


class LoaderSettings(FrozenModel):
    """`loader:` how training reads its tars."""

    window: int = growable(8, "Tars open at once, samples are shuffled over them", ge=1)
