"""Strict JSON out of an LLM's answer, which may have words or a code fence around it, or be cut short."""

import json
from collections.abc import Iterator
from dataclasses import replace

from synaug.backends.protocols import LLM, Question
from synaug.data.seeding import derive

DOUBLINGS = 2  # of max_tokens


def ask(llm: LLM, question: Question) -> list[str]:
    """Ask for n answers; those cut at max_tokens are asked for again with twice as many, DOUBLINGS times.

    An answer that is cut all the same is given as it is: its whole objects can be used.
    """
    answers = llm.generate(question)
    for _ in range(DOUBLINGS):
        cut = [n for n, answer in enumerate(answers) if answer.cut]
        if not cut:
            break
        most = 2 * question.max_tokens
        question = replace(question, n=len(cut), max_tokens=most, seed=derive("more tokens", question.seed, most))
        for n, answer in zip(cut, llm.generate(question), strict=True):
            answers[n] = answer
    return [answer.text for answer in answers]


def object_schema(properties: dict[str, dict]) -> dict:
    """Make the schema of an object with exactly these properties, as strict servers want it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_schema(items: dict) -> dict:
    """Make the schema of a list."""
    return {"type": "array", "items": items}


def find_objects(answer: str) -> Iterator[dict]:
    """Yield the JSON objects in an answer, in its order; what is no JSON is passed over."""
    decoder, at = json.JSONDecoder(), answer.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(answer, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            yield value
        at = answer.find("{", end)
