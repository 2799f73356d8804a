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


# Words that end a noun phrase, so that the last word before them is its head.
ENDS = re.compile(
    r"\b(?:of|in|on|at|by|with|without|under|over|above|below|beneath|behind|beside|before|after|between|among|against|"
    r"from|to|into|onto|near|inside|outside|through|across|along|around|next|for|and|or|while|as|like|that|which)\b|,"
)
# The last word of what stands before a noun phrase, as in `leaning against`.
NO_HEADS = re.compile(r"(?:ing|ed)$|^(?:made|seen|lit|worn|torn|held|hung|laid|set|close)$")


def head_phrase(value: str) -> str:
    """Find the first noun phrase of a value, which ends with its head noun.

    `leaning against a brick wall` -> `a brick wall`, `on a stage with a dark curtain` -> `a stage`.
    """
    phrases = [phrase for part in ENDS.split(value.lower()) if (phrase := part.strip())]
    nouns = [phrase for phrase in phrases if not NO_HEADS.search(phrase.split()[-1])]
    return (nouns or phrases or [""])[0]


def is_headed_by_one_of(value: str, names: tuple[str, ...]) -> bool:
    """Tell whether the value's head noun is one of the names, whole, in the singular or plural.

    `a banana peel` is no banana, and `in front of a brick wall` no brick.
    """
    head = head_phrase(value)
    return bool(names) and any(found.end() == len(head) for found in _naming_pattern(names).finditer(head))


def names_one_of(text: str, names: tuple[str, ...]) -> bool:
    """Tell whether the text holds one of the names as whole words, in the singular or plural."""
    return bool(names) and _naming_pattern(names).search(text.lower()) is not None
