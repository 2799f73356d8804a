"""The prompt of an image: a pure function of its key, its class's prompts file and the run's mix and styles."""

import re
from random import Random

from synaug.config import Config
from synaug.data.seeding import draws
from synaug.prompts.english import with_article
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, Prompt
from synaug.run.plan import Plan

# How often each attribute is part of a cd prompt. Text encoders follow two or three attributes better than four, and a
# class is seen in more ways when some are left open; the background, which most tells domains apart, is nearly always
# given.
SHARES = {"foreground": 0.5, "background": 0.9, "lighting": 0.4, "angle": 0.4}


def compose(config: Config, plan: Plan, prompts: ClassPrompts, index: int) -> Prompt:
    """Compose the prompt of a class's image: its kind by the mix, then the draws of that kind.

    The class name comes first, so that a text encoder never cuts it off.
    """
    rng = draws("prompt", config.seed, prompts.class_id, index)
    mix = config.prompts.mix
    kind = rng.choices(["plain", "cd", "sd"], [mix.plain, mix.cd, mix.sd])[0]
    plain = rng.choice(prompts.plain)
    if kind == "cd":
        attributes = _draw_attributes(prompts, rng)
        return Prompt(text=", ".join([plain, *attributes.values()]), kind=kind, attributes=attributes)
    if kind == "sd":
        style = rng.choice(plan.styles)
        medium = f"{config.context} as {with_article(style)}" if config.context else style
        text = f"{with_article(medium)} of {with_article(prompts.name)}{_definition(prompts.chosen, config)}"
        return Prompt(text=text, kind=kind, attributes={"style": style})
    return Prompt(text=plain, kind=kind)


def _draw_attributes(prompts: ClassPrompts, rng: Random) -> dict[str, str]:
    """A value of each drawn attribute in the order of ATTRIBUTES, at least one."""
    drawn = {}
    for attribute in ATTRIBUTES:
        values, wanted = prompts.pools.get(attribute, []), rng.random() < SHARES[attribute]
        if values and wanted:
            drawn[attribute] = rng.choice(values)
    filled = [attribute for attribute in ATTRIBUTES if prompts.pools.get(attribute)]
    if not drawn and filled:
        attribute = rng.choice(filled)
        drawn[attribute] = rng.choice(prompts.pools[attribute])
    return drawn


def plain_prompts(config: Config, *, name: str, chosen: str, own: list[str]) -> list[str]:
    """Write the plain prompts of a class: its own, or the template with name, context and the sense's definition."""
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
