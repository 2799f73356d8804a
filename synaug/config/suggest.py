"""What is said of a mistake in a name or a value: the nearest name that is known, and one line for a configuration."""

import difflib
import re
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from synaug.config.fields import NAME, field_at, fields
from synaug.config.scale import no_scale


def did_you_mean(given: str, known: Iterable[str], *, cutoff: float = 0.6, inside: str = "") -> str:
    """Return `; did you mean submit?`, or nothing where no known name is near.

    cutoff: difflib's ratio, 1 for equal (default: difflib's). inside: what goes before the suggested name, like
    `arms.real.`.
    """
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {inside}{near[0]}?" if near else ""


def suggest_field(path: str) -> str:
    """Return `; did you mean images.guidance_scale?`, with the names of arms and tests as they were given."""
    parts = path.split(".")
    known = []
    for field in fields():
        pattern = field.path.split(".")
        known.append(".".join(parts[n] if part == NAME and n < len(parts) else part for n, part in enumerate(pattern)))
        if pattern[0] == "training" and parts[0] == "arms" and len(parts) > 3:
            known.append(".".join([*parts[:3], *pattern[1:]]))
    sections = {".".join(path.split(".")[:n]) for path in known for n in range(1, path.count(".") + 1)}
    candidates = [name for name in [*known, *sorted(sections)] if NAME not in name]
    if hint := did_you_mean(path, candidates, cutoff=0.75):
        return hint
    # the right name in the wrong section, else a near one
    last = {name: name.split(".")[-1] for name in candidates}
    near = [name for name in candidates if last[name] == parts[-1]] or [
        name for name in candidates if difflib.SequenceMatcher(None, last[name], parts[-1]).ratio() > 0.75
    ]
    return f"; did you mean {near[0]}?" if near else "; `synaug config` lists the fields"


# Refused where a key may have been pasted into them: the value is not shown.
MAY_HOLD_A_KEY = ("prompts.llm.api_key_env", "prompts.llm.endpoint")


def explain(
    error: ValidationError, name: str, *, prefix: str = "", suggest: Callable[[str], str] = suggest_field
) -> str:
    """Put the first mistake into one line, with what is allowed and how many mistakes there are.

    name: what holds the configuration, like `run.yaml`. prefix: path of the section that was validated, with its dot.
    suggest: what is said after an unknown key (default: the nearest field).
    """
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
    value = first["input"]
    if first["type"] == "missing":
        return f"{where}{path} is missing{more}"
    if path.split(".")[-1] == "scale":
        return f"{where}{path}: {no_scale(value)}{more}"
    if first["type"].endswith(("_type", "_parsing", "_from_float")) and (expected := _type_at(path)):
        return f"{where}{path}: {value!r} is given, {expected} is allowed{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be")
    shown = "" if isinstance(value, dict) or path in MAY_HOLD_A_KEY else f" {value!r}"
    return f"{where}{path}:{shown} {message[0].lower() + message[1:]}{more}"


def _type_at(path: str) -> str | None:
    """Describe for people what the field that a path is at or in takes."""
    if field := field_at(path):
        return field.type
    return "a section" if any(field.path.startswith(path + ".") for field in fields()) else None
