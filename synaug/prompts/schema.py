"""prompts/{class_id}.json: senses and pools of one class, made to be read and edited, and the prompts composed from it.

Reading a file checks it: people edit these files.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field, ValidationError

from synaug.config.settings import FrozenModel
from synaug.data import layout
from synaug.data.store import Store
from synaug.errors import DataError

ATTRIBUTES = ("foreground", "background", "lighting", "angle")


class Sense(FrozenModel):
    """One thing that a class name can mean."""

    sense: str
    definition: str = ""
    likelihood: float | None = Field(
        None, description="Mean log-probability per token that a small LLM gave the definition"
    )
    score: float | None = Field(
        None, description="Mean CLIP similarity to the class's images less that to other classes'"
    )


class ClassPrompts(FrozenModel):
    """The prompts file of one class. Unknown keys are refused, so that a misspelled edit is seen."""

    class_id: str
    name: str = Field(description="Name in the prompts")
    senses: list[Sense] = Field(description="Best first")
    chosen: str = Field(
        description="Definition of the sense; sd prompts take it from here, plain and cd prompts from `plain`: edit "
        "both"
    )
    margin: float | None = None
    flagged: bool = Field(False, description="The margin is small, or no sense fits: look at it")
    fallback: list[str] = Field(default_factory=list, description="What fell back to the plain name and why")
    pools: dict[str, list[str]] = Field(description="Values by attribute: foreground, background, lighting, angle")
    refused: dict[str, int] = Field(
        default_factory=dict, description="Values of the LLM that were not taken, by reason"
    )
    plain: list[str] = Field(description="Plain prompts")
    made_by: dict[str, str] = Field(default_factory=dict)


class Prompt(FrozenModel):
    """The prompt of one image. kind: plain, cd or sd."""

    text: str
    kind: str
    attributes: dict[str, str] = Field(default_factory=dict)


class LoadedPrompts(NamedTuple):
    """A prompts file as it is now."""

    prompts: ClassPrompts
    sha256: str  # hex, of the file


def load_prompts(store: Store, run: str, class_id: str) -> LoadedPrompts:
    """Load the prompts file of a class, as it is now, and its SHA-256 (hex).

    Raises DataError for a file that is missing or edited into nonsense.
    """
    key = layout.prompts(run, class_id)
    data = store.get(key)
    return LoadedPrompts(parse_prompts(data, f"{store.url}/{key}", class_id), hashlib.sha256(data).hexdigest())


def parse_prompts(data: bytes, where: str, class_id: str) -> ClassPrompts:
    """Parse and check a prompts file. Raises DataError that names `where`, the line and the field."""
    advice = "repair it, or delete it to have it made again"
    try:
        prompts = ClassPrompts.model_validate(json.loads(data))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        at = (
            f"line {error.lineno}, column {error.colno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else "it is not UTF-8"
        )
        raise DataError(f"{where} is no JSON any more ({at}); {advice}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        line = _line(data.decode(), first["loc"])
        raise DataError(f"{where} line {line}, field {field}: {first['msg'][:120]}; {advice}") from error
    if prompts.class_id != class_id:
        line = _line(data.decode(), ("class_id",))
        raise DataError(
            f"{where} line {line}: class_id is {prompts.class_id!r}, the file is that of {class_id!r}; {advice}"
        )
    if unknown := set(prompts.pools) - set(ATTRIBUTES):
        line = _line(data.decode(), ("pools", min(unknown)))
        raise DataError(
            f"{where} line {line}: pools has {', '.join(sorted(unknown))}; allowed: {', '.join(ATTRIBUTES)}; {advice}"
        )
    if not prompts.plain or not all(text.strip() for text in prompts.plain):
        raise DataError(
            f"{where} line {_line(data.decode(), ('plain',))}: plain holds no prompt; give at least one; {advice}"
        )
    return prompts


def _line(text: str, path: Sequence[str | int]) -> int:
    """Line of the innermost key of a path that is in the text."""
    at = 0
    for part in path:
        if isinstance(part, str) and (found := re.compile(rf'"{re.escape(part)}"\s*:').search(text, at)):
            at = found.start()
    return text.count("\n", 0, at) + 1
