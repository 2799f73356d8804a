"""Make the noun dictionary: python -m recipes.wordnet --out synaug/embedded/data/wordnet

From WordNet 3.0 as Debian's `wordnet-base` installs it: every noun, its senses in WordNet's order, each with its
definition. Writes nouns.txt.xz (one line per synset: `lexical file|lemma:sense number,...|definition`),
exceptions.txt.xz (irregular plurals) and LICENSE.
"""

import argparse
import lzma
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")
FILES = (
    "thing",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
)
# The lexicographer files 3 to 28, see lexnames(5WN).


def sense_numbers(index: list[str]) -> dict[tuple[str, str], int]:
    """Number the senses: {(lemma, synset offset): n}, the most frequent first."""
    numbers: dict[tuple[str, str], int] = {}
    for line in index:
        if line.startswith(" "):
            continue
        fields = line.split()
        senses = int(fields[2])
        numbers |= {(fields[0], offset): n for n, offset in enumerate(fields[-senses:], 1)}
    return numbers


def definition(gloss: str) -> str:
    """Cut a gloss before its example sentences."""
    return gloss.split('; "')[0].strip().rstrip(";:").strip()


def synset_line(line: str, numbers: dict[tuple[str, str], int]) -> str:
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    offset, file, words = fields[0], int(fields[1]), int(fields[3], 16)
    lemmas = [fields[4 + 2 * n].lower() for n in range(words)]
    numbered = ",".join(f"{lemma}:{numbers[lemma, offset]}" for lemma in dict.fromkeys(lemmas))
    return f"{FILES[file - 3]}|{numbered}|{definition(gloss)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, default=FOLDER)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    numbers = sense_numbers((args.wordnet / "index.noun").read_text().splitlines())
    data = (args.wordnet / "data.noun").read_text().splitlines()
    licence = [line for line in data if line.startswith("  ")]
    lines = [synset_line(line, numbers) for line in data if not line.startswith("  ")]
    preset = 9 | lzma.PRESET_EXTREME
    (args.out / "nouns.txt.xz").write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=preset))
    (args.out / "exceptions.txt.xz").write_bytes(lzma.compress((args.wordnet / "noun.exc").read_bytes(), preset=preset))
    (args.out / "LICENSE").write_text(
        "\n".join(line[4:].strip() if line[4:].strip() else "" for line in licence) + "\n"
    )
    print(f"{len(lines)} synsets")


if __name__ == "__main__":
    main()
