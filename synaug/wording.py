"""English that prompts need: the article of a name, and which texts name a class."""

import functools
import re

# Nouns without a singular of their own take no article; inflect would say "a trousers".
PAIRS = frozenset(
    "trousers pants jeans shorts tights leggings overalls pyjamas pajamas trunks briefs scissors shears pliers tweezers tongs "
    "glasses sunglasses spectacles goggles binoculars scales clippers dungarees knickers slacks".split()
)  # fmt: skip


@functools.cache
def _engine():
    import inflect

    return inflect.engine()


@functools.cache
def with_article(noun: str) -> str:
    """`ankle boot` -> `an ankle boot`; `trousers` stays as it is."""
    return noun if noun.split()[-1].lower() in PAIRS else _engine().a(noun)


@functools.cache
def _naming(names: tuple[str, ...]) -> re.Pattern:
    forms = {form for name in names for form in (name.lower(), f"{name.lower()}s", f"{name.lower()}es", name.lower().removesuffix("s"))}
    return re.compile(r"\b(" + "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) + r")\b")


def names_one_of(text: str, names: tuple[str, ...]) -> bool:
    """Whether the text holds one of the names as whole words, in the singular or plural."""
    return bool(names) and _naming(names).search(text.lower()) is not None
