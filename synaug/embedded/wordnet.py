"""The noun dictionary made from WordNet 3.0 (recipes/wordnet.py): what a word can mean."""

import functools
import lzma
from dataclasses import dataclass

from synaug.embedded import DATA

FOLDER = DATA / "wordnet"
# Noun endings of morphy(7WN), tried in turn.
DETACHMENT = (
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("s", ""),
)


@dataclass(frozen=True)
class Meaning:
    """One sense of a noun."""

    lemma: str
    category: str  # WordNet's lexicographer file: artifact, animal, person, ...
    definition: str


@functools.cache
def _nouns() -> dict[str, list[Meaning]]:
    numbered: dict[str, list[tuple[int, Meaning]]] = {}
    for line in lzma.decompress((FOLDER / "nouns.txt.xz").read_bytes()).decode().splitlines():
        category, lemmas, definition = line.split("|", 2)
        for item in lemmas.split(","):
            lemma, _, number = item.rpartition(":")
            numbered.setdefault(lemma, []).append((int(number), Meaning(lemma.replace("_", " "), category, definition)))
    return {
        lemma: [meaning for _, meaning in sorted(meanings, key=lambda m: m[0])] for lemma, meanings in numbered.items()
    }


@functools.cache
def _irregular() -> dict[str, str]:
    lines = lzma.decompress((FOLDER / "exceptions.txt.xz").read_bytes()).decode().split("\n")
    return {plural: singular for plural, singular, *_ in (line.split() for line in lines if line)}


def _forms(word: str) -> list[str]:
    """List the word, then what it may be the plural of."""
    forms = [word]
    if word in _irregular():
        forms.append(_irregular()[word])
    forms += [word[: len(word) - len(ending)] + singular for ending, singular in DETACHMENT if word.endswith(ending)]
    return forms


def meanings(name: str) -> list[Meaning]:
    """Look up all senses of a noun, the most frequent first; [] when there is none.

    A compound that is no entry has those of its last words.
    """
    words = name.lower().replace("_", " ").split()
    while words:
        for form in _forms("_".join(words)):
            if form in _nouns():
                return _nouns()[form]
        words = words[1:]
    return []


def is_plural(word: str) -> bool:
    """Tell whether the word is the plural of an entry: `shoes`, `knives`; not `lens`."""
    return any(len(form) > 2 and form in _nouns() for form in _forms(word.lower())[1:])
