"""A configuration from a file or a preset, with overrides; every mistake is one line that says what is allowed."""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from synaug.config.arms import check_arms
from synaug.config.run import Config
from synaug.config.suggest import explain
from synaug.errors import UsageError

PRESETS = ("demo", "imagenet", "low-data", "long-tail", "cluster")


def load_config(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Load a configuration from a file or a preset, with overrides.

    source: path of a run.yaml, or the name of a preset. overrides: like `images.guidance_scale=2.0`, values parsed as
    YAML. Classes and styles that are given as files are read, relative to run.yaml, and are inline in the result.
    Raises UsageError.
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
    """Parse the text of a run.yaml.

    folder: where the files that it names are; None: they are not read. name: what messages call the text. Raises
    UsageError with what was given and what is allowed.
    """
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
    except ValidationError as error:
        raise UsageError(explain(error, name)) from error
    check_arms(config)
    return config


def read_yaml(text: str, name: str) -> Any:
    """Parse YAML to plain data. Raises UsageError with line and column."""
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


def dump_config(config: Config) -> str:
    """Write run.yaml with every field, so that a later default does not change a frozen run."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
