"""Strict JSON out of an LLM's answer, which may have words or a code fence around it, or be cut short."""

import json
from collections.abc import Iterator


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
