"""What an arm trains on and how.

Arms of a comparison share batch size, steps, schedule and augmentation; `real-half` takes half the steps.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from synaug.config.run import Config
from synaug.config.suggest import explain
from synaug.config.training import Arm, TrainingSettings
from synaug.errors import DataError, UsageError

MIXED = ("naive", "auxbn", "oracle")
DEFAULTS_THEN = {"synthetic_share": 0.5}  # of settings that trainings from before they were there have not stored


@dataclass(frozen=True, kw_only=True)
class ResolvedArm:
    """An arm with `training:` and the run's scale filled in: all that its training needs of the configuration."""

    name: str
    kind: str
    settings: TrainingSettings
    steps: int
    n_real: int  # images of a global batch; real ones come first
    n_synthetic: int
    scale: int | None  # None: no second source
    prompt_kinds: list[str] | None
    pool_images: int | None
    min_clip_score: float | None
    oracle: str | None  # the split that an oracle arm takes in place of synthetic images
    window: int

    def frozen(self) -> dict[str, Any]:
        """Return what settings.json holds: everything that shapes the weights but the seed."""
        return {
            "arm": self.name,
            "kind": self.kind,
            "steps": self.steps,
            "scale": self.scale,
            "prompt_kinds": self.prompt_kinds,
            "pool_images": self.pool_images,
            "min_clip_score": self.min_clip_score,
            "oracle": self.oracle,
            "window": self.window,
            "settings": self.settings.model_dump(mode="json"),
        }


def _arm(config: Config, name: str) -> Arm:
    if name not in config.arms:
        raise UsageError(
            f"no arm {name!r}; run.yaml has {', '.join(config.arms) or 'none'}: choose one, or add it under `arms:`"
        )
    return config.arms[name]


def merged(base: dict, changes: dict) -> dict:
    """Lay changes over a configuration: sections are merged field by field, model_kwargs are replaced whole."""
    sections = {
        key for key, value in changes.items() if isinstance(value, dict) and isinstance(base.get(key), dict)
    } - {"model_kwargs"}
    return base | changes | {key: merged(base[key], changes[key]) for key in sections}


def settings_of(config: Config, name: str) -> TrainingSettings:
    """Return `training:` with the arm's own `settings` over it.

    Raises UsageError for an unknown arm or a wrong setting.
    """
    arm = _arm(config, name)
    try:
        return TrainingSettings.model_validate(merged(config.training.model_dump(), arm.settings))
    except ValidationError as error:
        raise UsageError(explain(error, "", prefix=f"arms.{name}.settings.")) from error


def check_arms(config: Config) -> None:
    """Find a misspelled or impossible setting of an arm when the configuration is loaded, not hours later.

    Raises UsageError.
    """
    for name in config.arms:
        settings_of(config, name)


def resolve_arm(config: Config, name: str) -> ResolvedArm:
    """Resolve an arm of the configuration.

    Raises UsageError for an unknown arm, settings that cannot be meant, or a batch that cannot be split.
    """
    arm, settings = _arm(config, name), settings_of(config, name)
    mixed = arm.kind in MIXED
    n_synthetic = round(settings.batch_size * settings.synthetic_share) if mixed else 0
    if mixed and not 0 < n_synthetic < settings.batch_size:
        raise UsageError(
            f"arm {name}: synthetic_share {settings.synthetic_share:g} of batch_size {settings.batch_size} is "
            f"{n_synthetic} images; a batch needs 1 to {settings.batch_size - 1} synthetic ones: change the share, or "
            "raise batch_size"
        )
    if arm.kind == "oracle" and not config.oracle:
        raise UsageError(
            f"arm {name} is an oracle, and `oracle:` names no split; it is there for the embedded default only"
        )
    return ResolvedArm(
        name=name,
        kind=arm.kind,
        settings=settings,
        steps=max(1, settings.steps // 2) if arm.kind == "real-half" else settings.steps,
        n_real=settings.batch_size - n_synthetic,
        n_synthetic=n_synthetic,
        scale=(arm.multiple or config.multiple) if mixed else None,
        prompt_kinds=sorted(arm.prompt_kinds) if mixed and arm.prompt_kinds else None,
        pool_images=arm.pool_images if mixed else None,
        min_clip_score=config.index.min_clip_score if arm.kind in ("naive", "auxbn") else None,
        oracle=config.oracle if arm.kind == "oracle" else None,
        window=config.loader.window,
    )


def differences(old: dict, new: dict, path: str = "") -> list[str]:
    """List the values that differ, each as `settings.lr: 0.1 -> 0.2`."""
    lines = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{path}{key}.")
        elif a != b:
            lines.append(f"{path}{key}: {a!r} -> {b!r}")
    return lines


def changes(stored: dict, frozen: dict) -> list[str]:
    """List how settings.json or done.json of a training differs from what its arm is now; empty: it is this very arm.

    stored: of the file. frozen: of the arm. What the file is too old to hold counts as what it was then: the default of
    a setting, any split of an oracle arm.
    """
    then = {name: stored.get(name) for name in frozen} | {"oracle": stored.get("oracle", frozen["oracle"])}
    if isinstance(then["settings"], dict):
        then["settings"] = DEFAULTS_THEN | then["settings"]
    return differences(then, frozen)


def refuse_changes(stored: dict, new: dict, *, where: str) -> None:
    """Refuse to go on with an arm whose first checkpoint froze other settings. Raises DataError with the difference."""
    if changed := changes(stored, new):
        raise DataError(
            f"arm {new['arm']} was begun with other settings ({where}): {'; '.join(changed)}; set them back, or name "
            "another arm"
        )
