"""Every field of run.yaml with its kind, unit and default: for the reference, suggestions, and what identity is."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from synaug.config.run import Config
from synaug.config.settings import FrozenModel

NAME = "NAME"  # takes the place of the key of a mapping, as in arms.NAME.kind


@dataclass(frozen=True)
class ConfigField:
    """A field that is no section.

    path: dotted. kind: identity, growable or execution (None: a mistake that a test finds).
    """

    path: str
    kind: str | None
    type: str
    default: Any
    required: bool
    unit: str
    description: str


def type_text(annotation: Any) -> str:
    """Describe a field's type for people: `integer or null`, `one of auto, cpu`."""
    plain = {
        int: "integer",
        float: "number",
        str: "text",
        bool: "true or false",
        type(None): "null",
        object: "anything",
        dict: "mapping",
    }
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(a) for a in arguments)
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if origin is list:
        return f"list of {type_text(arguments[0])}"
    if origin is dict:
        return "mapping"
    return "section"


def _section(annotation: Any) -> type[FrozenModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, FrozenModel) else None


def _entries(annotation: Any) -> type[FrozenModel] | None:
    """Return the section that a mapping's values are, as in dict[str, Arm]."""
    return _section(get_args(annotation)[1]) if get_origin(annotation) is dict else None


def fields(model: type[FrozenModel] = Config, prefix: str = "") -> Iterator[ConfigField]:
    """List the fields in the order of run.yaml; the entries of a mapping appear as `arms.NAME.kind`."""
    for name, info in model.model_fields.items():
        path = prefix + name
        if section := _section(info.annotation):
            yield from fields(section, path + ".")
        elif section := _entries(info.annotation):
            yield from fields(section, f"{path}.{NAME}.")
        else:
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            kind, unit = extra.get("kind"), extra.get("unit", "")
            default = info.get_default(call_default_factory=True)
            yield ConfigField(
                path=path,
                kind=None if kind is None else str(kind),
                type=type_text(info.annotation),
                default=None if default is PydanticUndefined else default,
                required=info.is_required(),
                unit=str(unit),
                description=info.description or "",
            )


def field_at(path: str) -> ConfigField | None:
    """Find the field that a dotted path is at or under; None for a path that names none."""
    parts = path.split(".")
    for field in fields():
        pattern = field.path.split(".")
        if len(pattern) <= len(parts) and all(a in (NAME, b) for a, b in zip(pattern, parts, strict=False)):
            return field
    return None


def kind_of(path: str) -> str | None:
    """Return the kind of the field at a dotted path; None for a path that names no field."""
    field = field_at(path)
    return field.kind if field else None


def identity_values(config: Config) -> dict[str, Any]:
    """Return the plain values of all identity fields by dotted path."""
    dumped = config.model_dump(mode="json")
    values = {}
    for field in fields():
        if field.kind == "identity":
            value = dumped
            for name in field.path.split("."):
                value = value[name]
            values[field.path] = value
    return values
