"""Contextualized diversification: the LLM writes values of foreground, background, lighting and angle for a class."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from synaug.backends.protocols import CLIP, LLM, Question
from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.data.seeding import derive, draws
from synaug.prompts.english import is_headed_by_one_of, names_one_of, with_article
from synaug.prompts.llm_json import ask, find_objects, list_schema, object_schema
from synaug.prompts.schema import ATTRIBUTES
from synaug.prompts.strategy import choose_strategy

ROUNDS = 3  # questions for a class; good values are kept from round to round
LINES = 12  # few-shot lines sampled together
LINE_TOKENS = 32
MOST_WORDS = 9
ALIKE = 0.95  # cosine of two values' embeddings above which they say the same
SHOTS = 8  # examples before the line that the LLM continues

EXAMPLES = (
    "bicycle: rusty | leaning against a brick wall | soft morning light | seen from the side",
    "teapot: made of blue porcelain | on a wooden kitchen table | lit from the window on the left | close-up",
    "owl: with ruffled feathers | on a mossy branch in a forest | dim evening light | seen from below",
    "guitar: worn and scratched | on a stage with a dark curtain | under a bright spotlight | tilted to the right",
    "truck: muddy and red | on a gravel road in the desert | harsh midday sun | seen from far away",
    "cat: striped grey | on a green sofa in a living room | warm lamp light | seen from above",
    "lighthouse: painted white and red | on a rocky coast | under a stormy sky | seen from the sea",
    "cake: covered in pink icing | on a plain white background | in bright even light | seen from the front",
    "backpack: faded and patched | on a bench in a park | dappled shade | seen from behind",
    "rocking chair: made of dark wood | on a porch in the snow | cold blue light | tilted to the left",
)
QUESTION = """\
We need varied {medium} of {name}{definition}. For each attribute give {count} short, concrete and different values of \
2 to 7 words, with nothing that names another object class: \
"foreground" (material, colour, state or pose of the {plain}), "background" (place, with its preposition), \
"lighting", "angle" (camera angle). Answer with strict JSON only: \
{{"foreground": [...], "background": [...], "lighting": [...], "angle": [...]}}."""

OBJECTS = ("foreground", "background")  # attributes whose values can put another object into the picture
# Classes, of ImageNet and its like, that a background may be.
PLACES = frozenset(
    {
        "alp",
        "bakery",
        "barbershop",
        "barn",
        "beach",
        "boathouse",
        "bookshop",
        "bookstore",
        "butcher shop",
        "castle",
        "church",
        "cinema",
        "cliff",
        "confectionery store",
        "coral reef",
        "dam",
        "desert",
        "dock",
        "farm",
        "field",
        "forest",
        "garden",
        "geyser",
        "greenhouse",
        "grocery store",
        "harbor",
        "home theater",
        "kitchen",
        "lake",
        "lakeshore",
        "lakeside",
        "library",
        "meadow",
        "monastery",
        "mosque",
        "mountain",
        "movie theater",
        "palace",
        "park",
        "patio",
        "pier",
        "planetarium",
        "prison",
        "promontory",
        "restaurant",
        "river",
        "sandbank",
        "sandbar",
        "sea",
        "seashore",
        "shoe store",
        "shore",
        "stage",
        "steel arch bridge",
        "stone wall",
        "street",
        "suspension bridge",
        "tobacco shop",
        "toy store",
        "valley",
        "viaduct",
        "volcano",
    }
)
SCHEMA = object_schema({name: list_schema({"type": "string"}) for name in ATTRIBUTES})


class Embedder:
    """Embeddings of the texts of one class, each text embedded once, together with those that are new beside it."""

    def __init__(self, clip: CLIP):
        self.clip = clip
        self.known: dict[str, Tensor] = {}

    def __call__(self, texts: list[str]) -> Tensor:
        """Embed texts, at least one, to (n, d)."""
        if new := [text for text in dict.fromkeys(texts) if text not in self.known]:
            self.known.update(zip(new, self.clip.embed_texts(new), strict=True))
        return torch.stack([self.known[text] for text in texts])


@dataclass
class AttributePools:
    """Values by attribute as they come in; what is refused is counted by reason."""

    embed: Embedder
    other_names: tuple[str, ...]
    own_names: tuple[str, ...]
    size: int
    values: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in ATTRIBUTES})
    refused: dict[str, int] = field(default_factory=dict)

    @cached_property
    def names_of_no_place(self) -> tuple[str, ...]:
        return tuple(name for name in self.other_names if name.lower() not in PLACES)

    @property
    def full(self) -> bool:
        return all(len(values) >= self.size for values in self.values.values())

    def offer(self, attribute: str, values: list[str]) -> None:
        """Keep the good ones of some values of an attribute, as long as there is room."""
        kept = self.values[attribute]
        for value in map(clean, values):
            if len(kept) >= self.size:
                return
            reason = self._find_fault(attribute, value, kept)
            if reason:
                self.refused[reason] = self.refused.get(reason, 0) + 1
            else:
                kept.append(value)

    def _find_fault(self, attribute: str, value: str, kept: list[str]) -> str | None:
        if (
            not 1 <= len(value.split()) <= MOST_WORDS
            or len(value) < 3
            or re.search(r"[^a-z' -]", value.replace(",", ""))
        ):
            return "no short phrase"
        others = self.names_of_no_place if attribute == "background" else self.other_names
        if attribute in OBJECTS and is_headed_by_one_of(value, others):
            return "names another class"
        if names_one_of(value, self.own_names):
            return "repeats the class"
        taken = [other for values in self.values.values() for other in values]
        if value in taken:
            return "said before"
        if kept:
            vectors = self.embed([value, *kept])
            if float((vectors[1:] @ vectors[0]).max()) > ALIKE:
                return "means the same"
        return None


def clean(value: str) -> str:
    """Tidy a value: lower case, single spaces, no marks around it."""
    return re.sub(r"\s+", " ", value).strip(" .;:\"'*-").lower()


def make_pools(
    llm: LLM, clip: CLIP, entry: ClassEntry, config: Config, *, definition: str, other_names: tuple[str, ...]
) -> AttributePools:
    """Ask for up to `prompts.values` good values of each attribute; fewer when the LLM gives no more within ROUNDS."""
    embed = Embedder(clip)
    pools = AttributePools(embed, other_names, tuple(entry.names), config.prompts.values)
    strategy = choose_strategy(llm.capabilities, config.prompts.llm.output)
    if strategy.pools == "json" and strategy.together:
        rounds: Iterator[dict[str, list[str]]] = iter(_ask_json(llm, entry, config, definition, 0, n=ROUNDS))
    elif strategy.pools == "json":
        rounds = (_ask_json(llm, entry, config, definition, number)[0] for number in range(ROUNDS))
    else:
        rounds = (_ask_lines(llm, embed, entry, config, definition, number) for number in range(ROUNDS))
    for answers in rounds:
        for attribute, values in answers.items():
            pools.offer(attribute, values)
        if pools.full:
            break
    return pools


def _ask_json(
    llm: LLM, entry: ClassEntry, config: Config, definition: str, round_number: int, n: int = 1
) -> list[dict[str, list[str]]]:
    question = QUESTION.format(
        medium=f"{config.context}s" if config.context else "photos",
        name=with_article(entry.name),
        plain=entry.name,
        definition=f" ({definition})" if definition else "",
        count=config.prompts.values + 2,
    )
    seed = derive("llm", config.seed, entry.id, "attributes", round_number)
    asked = Question(
        messages=[{"role": "user", "content": question}],
        n=n,
        seed=seed,
        max_tokens=config.prompts.llm.max_tokens,
        schema=SCHEMA,
    )
    return [parse_attributes(answer) for answer in ask(llm, asked)]


def parse_attributes(answer: str) -> dict[str, list[str]]:
    """Parse the lists of the first JSON object that has any, without items that are no text; {} when there is none."""
    for found in find_objects(answer):
        lists = {name: found[name] for name in ATTRIBUTES if isinstance(found.get(name), list)}
        if lists:
            return {name: [item for item in items if isinstance(item, str)] for name, items in lists.items()}
    return {}


def _ask_lines(
    llm: LLM, embed: Embedder, entry: ClassEntry, config: Config, definition: str, round_number: int
) -> dict[str, list[str]]:
    """Continues a few-shot list; each of LINES samples is one line, parsed by itself."""
    examples = list(config.prompts.examples or EXAMPLES)
    draws("examples", config.seed, entry.id, round_number).shuffle(examples)
    medium = config.context or "photo"
    head = f"Ideas for {medium} scenes. Each line: object: its look | where it is | the light | the camera angle\n\n"
    meaning = f"Here, {entry.name} means: {definition.split(';')[0]}\n\n" if definition else ""
    prompt = head + meaning + "\n".join(examples[:SHOTS]) + f"\n{entry.name}:"
    seed = derive("llm", config.seed, entry.id, "attributes", round_number)
    answers = llm.generate(Question(messages=prompt, n=LINES, seed=seed, max_tokens=LINE_TOKENS, stop=("\n",)))
    return sort_values(embed, [clean(value) for line in answers for value in parse_line(line.text)], examples)


def sort_values(embed: Embedder, values: list[str], examples: list[str]) -> dict[str, list[str]]:
    """Sort values under the attribute whose examples each is nearest to: a small LLM mixes up its fields."""
    shown = [parse_line(line.partition(":")[2]) for line in examples]
    found: dict[str, list[str]] = {name: [] for name in ATTRIBUTES}
    if not values:
        return found
    columns = [[clean(line[n]) for line in shown] for n in range(len(ATTRIBUTES))]
    embed([*values, *(text for column in columns for text in column)])  # all at once
    embedded = embed(values)
    nearest = [(embedded @ embed(column).T).topk(2).values.mean(1) for column in columns]
    for row, value in enumerate(values):
        found[max(ATTRIBUTES, key=lambda name: float(nearest[ATTRIBUTES.index(name)][row]))].append(value)
    return found


def parse_line(line: str) -> list[str]:
    """Parse the fields of `look | place | light | angle`.

    A line cut short keeps its whole fields; another shape gives none.
    """
    fields = [part.strip() for part in line.split("|")]
    if not 2 <= len(fields) <= len(ATTRIBUTES):
        return []
    return [value for value in (fields if len(fields) == len(ATTRIBUTES) else fields[:-1]) if value]
