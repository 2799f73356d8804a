"""The prompt of an image: a pure function of its key, its class's prompts file and the run's mix and styles."""

import hashlib
import json
import re

from pydantic import ValidationError

from synaug.config import Config
from synaug.data import layout
from synaug.data.seeding import draws
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.prompts.english import with_article
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, Prompt
from synaug.run.plan import Plan

# How often each attribute is part of a cd prompt. Text encoders follow two or three attributes better than four, and a class is seen
# in more ways when some are left open; the background, which most tells domains apart, is nearly always given.
SHARES = {"foreground": 0.5, "background": 0.9, "lighting": 0.4, "angle": 0.4}


def load_prompts(store: Store, run: str, class_id: str) -> tuple[ClassPrompts, str]:
    """The prompts file of a class, as it is now, and its SHA-256. Raises DataError for one that is missing or edited into nonsense."""
    key = layout.prompts(run, class_id)
    data = store.get(key)
    return parse_prompts(data, f"{store.url}/{key}", class_id), hashlib.sha256(data).hexdigest()


def parse_prompts(data: bytes, where: str, class_id: str) -> ClassPrompts:
    """Raises DataError that names the line and the field."""
    advice = "mend it, or delete it to have it made again"
    try:
        made = ClassPrompts.model_validate(json.loads(data))
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
    if made.class_id != class_id:
        line = _line(data.decode(), ("class_id",))
        raise DataError(
            f"{where} line {line}: class_id is {made.class_id!r}, the file is that of {class_id!r}; {advice}"
        )
    if unknown := set(made.pools) - set(ATTRIBUTES):
        line = _line(data.decode(), ("pools", min(unknown)))
        raise DataError(
            f"{where} line {line}: pools has {', '.join(sorted(unknown))}; allowed: {', '.join(ATTRIBUTES)}; {advice}"
        )
    if not made.plain or not all(text.strip() for text in made.plain):
        raise DataError(
            f"{where} line {_line(data.decode(), ('plain',))}: plain holds no prompt; give at least one; {advice}"
        )
    return made


def _line(text: str, path: tuple) -> int:
    """Line of the innermost key of a path that stands in the text."""
    at = 0
    for part in path:
        if isinstance(part, str) and (found := re.compile(rf'"{re.escape(part)}"\s*:').search(text, at)):
            at = found.start()
    return text.count("\n", 0, at) + 1


def compose(config: Config, plan: Plan, made: ClassPrompts, index: int) -> Prompt:
    """Kind by the mix, then the draws of that kind; the class name comes first, so that a text encoder never cuts it off."""
    rng = draws("prompt", config.seed, made.class_id, index)
    mix = config.prompts.mix
    kind = rng.choices(["plain", "cd", "sd"], [mix.plain, mix.cd, mix.sd])[0]
    plain = rng.choice(made.plain)
    if kind == "cd":
        attributes = _attributes(made, rng)
        return Prompt(text=", ".join([plain, *attributes.values()]), kind=kind, attributes=attributes)
    if kind == "sd":
        style = rng.choice(plan.styles)
        medium = f"{config.context} as {with_article(style)}" if config.context else style
        text = f"{with_article(medium)} of {with_article(made.name)}{_definition(made.chosen, config)}"
        return Prompt(text=text, kind=kind, attributes={"style": style})
    return Prompt(text=plain, kind=kind)


def _attributes(made: ClassPrompts, rng) -> dict[str, str]:
    """A value of each drawn attribute in the order of ATTRIBUTES, at least one."""
    drawn = {}
    for attribute in ATTRIBUTES:
        values, wanted = made.pools.get(attribute, []), rng.random() < SHARES[attribute]
        if values and wanted:
            drawn[attribute] = rng.choice(values)
    filled = [attribute for attribute in ATTRIBUTES if made.pools.get(attribute)]
    if not drawn and filled:
        attribute = rng.choice(filled)
        drawn[attribute] = rng.choice(made.pools[attribute])
    return drawn


def plain_prompts(config: Config, *, name: str, chosen: str, own: list[str]) -> list[str]:
    """A class's own prompts, or the template with name, context and the definition of the chosen sense."""
    if own:
        return own
    text = config.prompts.template.format(name=with_article(name))
    if config.context:
        plain = text.replace("a photo of", f"{with_article(config.context)} of")
        text = plain if plain != text else f"{text}, {config.context}"  # a template of one's own
    return [text + _definition(chosen, config)]


def _definition(chosen: str, config: Config) -> str:
    """Short: CLIP's text encoders end at 77 tokens, and the attributes come after it."""
    if not chosen or not config.prompts.definitions:
        return ""
    return ", " + " ".join(re.sub(r"\([^)]*\)", "", chosen.split(";")[0]).split()[:12]).rstrip(",")
