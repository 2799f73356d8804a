"""A configuration from a file or a preset, with overrides; every mistake is one line that says what is allowed."""

import difflib
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from synaug.config.fields import NAME, field_at, fields
from synaug.config.run import Config
from synaug.config.scale import no_scale
from synaug.config.training import TrainingSettings
from synaug.errors import UsageError

PRESETS = ("demo", "imagenet", "low-data", "long-tail", "cluster")


def load_config(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """source: path of a run.yaml, or the name of a preset. overrides: like `images.guidance_scale=2.0`, values parsed as YAML.

    Classes and styles that are given as files are read, relative to run.yaml, and stand inline in the result. Raises UsageError.
    """
    if str(source) in PRESETS:
        text, folder = (resources.files("synaug.config") / "presets" / f"{source}.yaml").read_text(), Path.cwd()
    else:
        path = Path(source)
        if not path.is_file():
            raise UsageError(
                f"there is no configuration file {str(source)!r}; give a run.yaml, or a preset: {', '.join(PRESETS)}"
            )
        text, folder = path.read_text(), path.parent
    return parse_config(text, overrides, folder=folder, name=str(source))


def parse_config(
    text: str, overrides: list[str] | tuple[str, ...] = (), *, folder: Path | None = None, name: str = "run.yaml"
) -> Config:
    """The configuration in a text; folder: where the files that it names lie."""
    data = read_yaml(text, name)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise UsageError(
            f"{name} holds {type(data).__name__}, not a mapping of sections; `synaug config` lists the fields"
        )
    for override in overrides:
        _apply(data, override)
    if folder is not None:
        _inline_files(data, folder)
    try:
        config = Config.model_validate(data)
        _check_arms(config)
    except ValidationError as error:
        raise UsageError(explain(error, name)) from error
    return config


def read_yaml(text: str, name: str) -> Any:
    """Raises UsageError with line and column."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise UsageError(f"{name} is no YAML:{where} {getattr(error, 'problem', None) or 'unreadable'}") from error


def _apply(data: dict, override: str) -> None:
    path, equals, value = override.partition("=")
    if not equals or not path:
        raise UsageError(f"{override!r} is no override; write FIELD=VALUE, like images.guidance_scale=2.0")
    *sections, last = path.split(".")
    for section in sections:
        inner = data.get(section)
        if inner is None:
            inner = data[section] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"{path} cannot be set: {section} is {inner!r}, not a section")
        data = inner
    data[last] = read_yaml(value, override)


def _inline_files(data: dict, folder: Path) -> None:
    classes = data.get("classes", Config.model_fields["classes"].default)
    if isinstance(classes, str) and classes.endswith((".yaml", ".yml")):
        content = _read_list(folder / classes, "classes")
        data["classes"] = content
    prompts = data.get("prompts")
    if (
        isinstance(prompts, dict)
        and isinstance(styles := prompts.get("styles"), str)
        and styles.endswith((".yaml", ".yml"))
    ):
        prompts["styles"] = _read_list(folder / styles, "prompts.styles")


def _read_list(path: Path, field: str) -> list:
    if not path.is_file():
        raise UsageError(
            f"{field}: there is no file {str(path)!r}; write it (`synaug init` does), or give the list in run.yaml"
        )
    content = read_yaml(path.read_text(), str(path))
    if isinstance(content, dict) and len(content) == 1:
        content = next(iter(content.values()))
    if not isinstance(content, list):
        raise UsageError(f"{field}: {str(path)!r} holds no list")
    return content


def _check_arms(config: Config) -> None:
    """An arm's settings are fields of `training:`; a misspelled one is found here, not hours later."""
    for name, arm in config.arms.items():
        unknown = set(arm.settings) - set(TrainingSettings.model_fields)
        if unknown:
            path = f"arms.{name}.settings.{sorted(unknown)[0]}"
            raise UsageError(f"unknown key {path}{_suggestion(path)}")
        merged = config.training.model_dump() | arm.settings
        if isinstance(own := arm.settings.get("augmentation"), dict):
            merged["augmentation"] = config.training.augmentation.model_dump() | own
        try:
            TrainingSettings.model_validate(merged)
        except ValidationError as error:
            raise UsageError(explain(error, "", prefix=f"arms.{name}.settings.")) from error


def _suggestion(path: str) -> str:
    """`; did you mean images.guidance_scale?`, with the names of arms and tests as they were given."""
    parts = path.split(".")
    known = []
    for field in fields():
        pattern = field.path.split(".")
        known.append(".".join(parts[n] if part == NAME and n < len(parts) else part for n, part in enumerate(pattern)))
        if pattern[0] == "training" and parts[0] == "arms" and len(parts) > 3:
            known.append(".".join([*parts[:3], *pattern[1:]]))
    sections = {".".join(path.split(".")[:n]) for path in known for n in range(1, path.count(".") + 1)}
    candidates = [c for c in [*known, *sorted(sections)] if NAME not in c]
    near = difflib.get_close_matches(path, candidates, n=1, cutoff=0.75)
    if not near:  # right name, wrong section
        near = [c for c in candidates if c.split(".")[-1] == parts[-1]][:1] or [
            c for c in candidates if difflib.SequenceMatcher(None, c.split(".")[-1], parts[-1]).ratio() > 0.75
        ][:1]
    return f"; did you mean {near[0]}?" if near else "; `synaug config` lists the fields"


def _type_at(path: str) -> str | None:
    """What the field that a path lies at or in takes, for people."""
    if field := field_at(path):
        return field.type
    return "a section" if any(field.path.startswith(path + ".") for field in fields()) else None


def explain(error: ValidationError, name: str, *, prefix: str = "", suggest: Callable[[str], str] = _suggestion) -> str:
    """One line for the first mistake, and how many there are. suggest: what is said after an unknown key (default: the nearest field)."""
    problems = error.errors(include_url=False)
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # a union's location ends with the type that was tried, which is no part of the path
    path = prefix + ".".join(
        str(part) for part in first["loc"] if not re.fullmatch(r"(str|int|list\[.*\]|dict\[.*\])", str(part))
    )
    where = f"{name}: " if name else ""
    more = f" (and {len(problems) - 1} more)" if len({p["loc"] for p in problems}) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{where}unknown key {path}{suggest(path)}{more}"
    given = first["input"]
    if first["type"] == "missing":
        return f"{where}{path} is missing{more}"
    if path.split(".")[-1] == "scale":
        return f"{where}{path}: {no_scale(given)}{more}"
    if first["type"].endswith(("_type", "_parsing", "_from_float")) and (expected := _type_at(path)):
        return f"{where}{path}: {given!r} is given, {expected} is allowed{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be")
    shown = "" if isinstance(given, dict) else f" {given!r}"
    return f"{where}{path}:{shown} {message[0].lower() + message[1:]}{more}"


def dump_config(config: Config) -> str:
    """run.yaml with every field, so that a later default does not change a frozen run."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
