"""What a class name means: the LLM, or the dictionary, lists senses; CLIP picks the one that real images show."""

from dataclasses import dataclass, field

from torch import Tensor

from synaug.backends.protocols import CLIP, LLM, Question
from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.data.seeding import derive
from synaug.embedded.wordnet import meanings
from synaug.prompts.english import with_article
from synaug.prompts.llm_json import ask, find_objects, list_schema, object_schema
from synaug.prompts.schema import Sense
from synaug.prompts.strategy import choose_strategy

TRIES = 3  # of strict JSON
# A definition whose score is below this part of the plain name's fits no better than a text about something else.
FITS = 0.5

# WordNet's noun categories of what can stand before a camera.
VISIBLE = frozenset(
    {"artifact", "animal", "plant", "food", "object", "body", "person", "substance", "shape", "phenomenon"}
)

QUESTION = """List at most {count} different things that the name "{name}" can mean {context}. \
Answer with strict JSON only, {{"senses": [{{"sense": short name, \
"visual_definition": what it looks like, in at most 15 words}}, ...]}}, the most common first."""
SENSES_SCHEMA = object_schema(
    {"senses": list_schema(object_schema({"sense": {"type": "string"}, "visual_definition": {"type": "string"}}))}
)
RANKING = """In dictionaries, "{name}" means:
{meanings}
Which of these does it mean {context}? Answer with strict JSON only, {{"likely": [numbers, the likeliest first]}}."""
RANKING_SCHEMA = object_schema({"likely": list_schema({"type": "integer"})})


@dataclass(frozen=True, kw_only=True)
class SenseChoice:
    """Which sense a class takes, as its prompts file says it."""

    senses: list[Sense]  # best first, the unchanged name among them
    chosen: str = ""  # definition; empty: the plain name
    margin: float | None = None
    flagged: bool = False
    fallback: list[str] = field(default_factory=list)


def list_senses(llm: LLM, entry: ClassEntry, config: Config) -> list[Sense]:
    """List senses with definitions, unscored, without the unchanged name; [] when nobody knows any."""
    way = choose_strategy(llm.capabilities, config.prompts.llm.output).senses
    if way != "listed":
        return _look_up_senses(llm, entry, config, by_likelihood=way == "likelihood")
    question = QUESTION.format(count=config.prompts.max_senses, name=" / ".join(entry.names), context=_context(config))
    for attempt in range(TRIES):
        answer = ask(
            llm, _chat(question, SENSES_SCHEMA, config, derive("llm", config.seed, entry.id, "senses", attempt))
        )
        if listed := parse_senses(answer[0]):
            return listed[: config.prompts.max_senses]
    return []


def _context(config: Config) -> str:
    return f"in {with_article(config.context)}" if config.context else "as a label of photos"


def _chat(question: str, schema: dict, config: Config, seed: int) -> Question:
    messages = [{"role": "user", "content": question}]
    return Question(messages=messages, seed=seed, max_tokens=config.prompts.llm.max_tokens, schema=schema)


def parse_senses(answer: str) -> list[Sense]:
    """Parse the objects of an answer that have a name and a definition, each by itself: a bad one costs no other."""
    found = []
    for value in find_objects(answer):
        inner = value.get("senses")
        for item in inner if isinstance(inner, list) else [value]:
            if not isinstance(item, dict):
                continue
            sense, definition = item.get("sense"), item.get("visual_definition")
            if isinstance(sense, str) and isinstance(definition, str) and definition.strip():
                found.append(Sense(sense=sense.strip(), definition=" ".join(definition.split())))
    return found


def _look_up_senses(llm: LLM, entry: ClassEntry, config: Config, *, by_likelihood: bool) -> list[Sense]:
    """WordNet's meanings of the names that can be photographed, the commonest first; of many, the likeliest.

    A small LLM cannot list senses itself; it says which are likely.
    """
    found = {
        meaning.definition: meaning for name in entry.names for meaning in meanings(name) if meaning.category in VISIBLE
    }
    if not found:
        return []
    if not by_likelihood:
        order = _rank(llm, entry, config, list(found))[: config.prompts.max_senses]
        ranked = [list(found.values())[n] for n in order]
        return [Sense(sense=meaning.lemma, definition=meaning.definition) for meaning in ranked]
    prompt = f"A photo of {with_article(entry.name)}. In dictionaries, {entry.name} means:"
    likely = llm.log_likelihoods(prompt, [f" {text}" for text in found])
    kept = sorted(likely, reverse=True)[: config.prompts.max_senses][-1]
    pairs = [(value, meaning) for value, meaning in zip(likely, found.values(), strict=True) if value >= kept]
    return [
        Sense(sense=meaning.lemma, definition=meaning.definition, likelihood=round(value, 3))
        for value, meaning in pairs
    ]


def _rank(llm: LLM, entry: ClassEntry, config: Config, definitions: list[str]) -> list[int]:
    """Indices of all definitions, those that the LLM finds likely first, then the commonest first."""
    listed = "\n".join(f"{n}. {text}" for n, text in enumerate(definitions, 1))
    question = RANKING.format(name=entry.name, meanings=listed, context=_context(config))
    answer = ask(llm, _chat(question, RANKING_SCHEMA, config, derive("llm", config.seed, entry.id, "ranking", 0)))[0]
    likely: list = next(
        (found["likely"] for found in find_objects(answer) if isinstance(found.get("likely"), list)), []
    )
    kept = [n - 1 for n in likely if type(n) is int and 1 <= n <= len(definitions)]
    return list(dict.fromkeys([*kept, *range(len(definitions))]))


def choose_sense(
    clip: CLIP, entry: ClassEntry, listed: list[Sense], own_images: Tensor, other_images: Tensor, config: Config
) -> SenseChoice:
    """Choose by scoring every sense against images. own_images, other_images: (n, d) CLIP embeddings.

    They are of the class's and of other classes' training images. Score: mean similarity to the class's images less
    that to the others' (a raw mean favours generic texts). The margin is that between the two best definitions.
    """
    name = with_article(entry.name)
    senses = [Sense(sense=entry.name), *listed]
    texts = [f"a photo of {name}" + (f", {sense.definition}" if sense.definition else "") for sense in senses]
    embedded = clip.embed_texts(texts)
    values = (embedded @ own_images.T).mean(1) - (embedded @ other_images.T).mean(1)
    scored = [
        sense.model_copy(update={"score": round(float(value), 4)}) for sense, value in zip(senses, values, strict=True)
    ]
    best_first = sorted(scored, key=_score, reverse=True)
    plain, defined = scored[0], sorted(scored[1:], key=_score, reverse=True)
    if not defined:
        return SenseChoice(senses=best_first, flagged=True, fallback=["no definition was found"])
    best = _score(defined[0])
    margin = round(best - _score(defined[1]), 4) if len(defined) > 1 else None
    if best <= max(0.0, FITS * _score(plain)):
        reason = f"no sense fits the real images: the best scores {best}, the plain name {plain.score}"
        return SenseChoice(senses=best_first, margin=margin, flagged=True, fallback=[reason])
    alike = {sense.definition for sense in defined if best - _score(sense) < config.prompts.min_margin}
    # the more common one, where CLIP cannot tell
    chosen = next(sense.definition for sense in listed if sense.definition in alike)
    small = margin is not None and margin < config.prompts.min_margin
    return SenseChoice(senses=best_first, chosen=chosen, margin=margin, flagged=small)


def _score(sense: Sense) -> float:
    """The score of a sense that has one."""
    assert sense.score is not None
    return sense.score
