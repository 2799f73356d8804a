"""What a run is: its identity as one flat table, the digest of it, and the difference of two."""

import hashlib
import json
from typing import Any

from synaug.config.fields import identity_values
from synaug.config.run import Config
from synaug.data.classes import ClassEntry
from synaug.run.plan import ModelInfo


def identity_table(
    config: Config,
    *,
    classes: list[ClassEntry],
    real_counts: dict[str, int],
    models: list[ModelInfo],
    styles: list[str],
) -> dict[str, Any]:
    """Tabulate {field: value} of all that decides what the set is.

    Classes and counts are listed class by class, so that a difference names one.
    """
    table = identity_values(config)
    del table["classes"], table["prompts.styles"]
    for entry in classes:
        table[f"classes.{entry.id}"] = entry.model_dump(mode="json", exclude={"id"})
        table[f"real images of {entry.id}"] = real_counts[entry.id]
    table["order of classes"] = [entry.id for entry in classes]
    table["prompts.styles"] = styles
    for model in models:
        table[f"{model.role} model"] = f"{model.name}@{model.revision}"
    return table


def digest(table: dict[str, Any]) -> str:
    """Compute the SHA-256 (hex) over the canonical JSON of an identity table."""
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def difference(old: dict[str, Any], new: dict[str, Any], *, at_most: int = 6) -> str:
    """Write how two tables differ in one line, `images.guidance_scale 2.0 -> 3.0, seed 0 -> 1`; empty when equal."""
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    shown = [f"{key} {_short(old.get(key))} -> {_short(new.get(key))}" for key in changed[:at_most]]
    return ", ".join(shown) + (f" and {len(changed) - at_most} more" if len(changed) > at_most else "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
