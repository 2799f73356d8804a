"""English that prompts need: the article of a name, and which texts name a class."""

import functools
import re

import inflect

from synaug.embedded import wordnet

# Nouns without a singular of their own take no article; inflect would say "a trousers".
PAIRS = frozenset(
    {
        "trousers",
        "pants",
        "jeans",
        "shorts",
        "tights",
        "leggings",
        "overalls",
        "pyjamas",
        "pajamas",
        "trunks",
        "briefs",
        "scissors",
        "shears",
        "pliers",
        "tweezers",
        "tongs",
        "glasses",
        "sunglasses",
        "eyeglasses",
        "spectacles",
        "goggles",
        "binoculars",
        "scales",
        "clippers",
        "dungarees",
        "knickers",
        "slacks",
        "headphones",
        "forceps",
    }
)


@functools.cache
def _engine() -> inflect.engine:
    return inflect.engine()


@functools.cache
def with_article(noun: str) -> str:
    """Put the article before a noun: `an ankle boot`, `a lens`; `trousers` and `running shoes` stay as they are."""
    return noun if is_plural(noun) else _engine().a(noun)


def is_plural(noun: str) -> bool:
    """Tell by the last word: one of PAIRS, or the plural of a noun of the dictionary."""
    last = re.split(r"[\s-]", noun.strip().lower())[-1]
    if last in PAIRS:
        return True
    if not last.endswith("s") or last.endswith(("ss", "us", "is")):
        return False  # a dress, a bus, an ibis: the dictionary need not be opened
    return wordnet.is_plural(last)


@functools.lru_cache(maxsize=8)  # a class asks for all others' names, again and again
def _naming_pattern(names: tuple[str, ...]) -> re.Pattern:
    longest_first = sorted({form for name in names for form in _forms(name)}, key=lambda form: (-len(form), form))
    return re.compile(r"(?<![\w-])(" + "|".join(re.escape(form) for form in longest_first) + r")(?![\w-])")


@functools.cache
def _forms(name: str) -> tuple[str, ...]:
    return (name.lower(), f"{name.lower()}s", f"{name.lower()}es", _plural(name), _singular(name))


def _plural(name: str) -> str:
    return name.lower() if is_plural(name) else _engine().plural_noun(name.lower())


def _singular(name: str) -> str:
    return (_engine().singular_noun(name.lower()) or name.lower()) if is_plural(name) else name.lower()


def names_one_of(text: str, names: tuple[str, ...]) -> bool:
    """Tell whether the text holds one of the names as whole words, in the singular or plural."""
    return bool(names) and _naming_pattern(names).search(text.lower()) is not None
