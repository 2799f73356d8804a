"""What every section and field of run.yaml is made of.

Each field is identity, growable or execution: what may change between runs of one set (docs/design.md, Configuration).
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Kind = Literal["identity", "growable", "execution"]


class FrozenModel(BaseModel):
    """A part of run.yaml: unknown keys are refused, values do not change after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def _setting(kind: Kind, default: Any, description: str, unit: str, **limits) -> Any:
    extra: dict[str, JsonValue] = {"kind": kind}
    if unit:
        extra["unit"] = unit
    if callable(default):
        return Field(default_factory=default, description=description, json_schema_extra=extra, **limits)
    return Field(default, description=description, json_schema_extra=extra, **limits)


def identity(default: Any, description: str, *, unit: str = "", **limits) -> Any:
    """Declare a field that the first plan freezes; a change is refused once something was made with it."""
    return _setting("identity", default, description, unit, **limits)


def growable(default: Any, description: str, *, unit: str = "", **limits) -> Any:
    """Declare a field that a later plan may change: a larger scale, another arm, another seed, another test set.

    So are the fields of `training:`, like lr: a run's images do not depend on them, and new arms may use new values.
    What is trained stays as it is, because an arm freezes its own settings at its first checkpoint.
    """
    return _setting("growable", default, description, unit, **limits)


def execution(default: Any, description: str, *, unit: str = "", **limits) -> Any:
    """Declare how and where a run is carried out; it never changes what comes out, beyond the stated tolerance."""
    return _setting("execution", default, description, unit, **limits)
