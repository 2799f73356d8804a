"""How an LLM is asked, decided by what it can do: shown by plan, and recorded in every prompts file."""

from dataclasses import dataclass
from typing import Literal

from synaug.backends.protocols import LLMCapabilities
from synaug.backends.resolve import known_capabilities
from synaug.config import Config

JSON = {"schema": "JSON by schema", "object": "JSON objects", "text": "JSON, parsed from text"}


@dataclass(frozen=True)
class Strategy:
    """How an LLM is asked.

    pools: few-shot lines, parsed one by one, or chats that answer in JSON. senses: of the dictionary, ranked by
    likelihood or by a JSON answer; or listed by the LLM itself, in JSON. together: all rounds in one batch.
    """

    pools: Literal["lines", "json"]
    senses: Literal["likelihood", "ranked", "listed"]
    json: Literal["schema", "object", "text"]
    together: bool

    def __str__(self) -> str:
        pools = "few-shot lines" if self.pools == "lines" else JSON[self.json]
        senses = {
            "likelihood": "the dictionary's senses, ranked by likelihood",
            "ranked": f"the dictionary's senses, ranked by the LLM ({JSON[self.json]})",
            "listed": f"senses listed by the LLM ({JSON[self.json]})",
        }
        return f"values by {pools}{', all rounds at once' if self.together else ''}; {senses[self.senses]}"


def choose_strategy(able: LLMCapabilities, output: str) -> Strategy:
    """Choose by the LLM's capabilities and `prompts.llm.output`: auto, json or lines."""
    lines = output == "lines" or (output == "auto" and able.small)
    senses: Literal["likelihood", "ranked", "listed"] = "listed"
    if able.small:
        senses = "likelihood" if able.likelihoods else "ranked"
    elif lines and not able.likelihoods:
        senses = "ranked"  # who asks an endpoint for lines says that its model is small
    return Strategy(
        pools="lines" if lines else "json", senses=senses, json=able.json, together=able.batches and not lines
    )


def describe_strategy(config: Config) -> str:
    """Say how the run's LLM will be asked, of a model that is not loaded yet also what that hangs on.

    Raises ModelError, TransientError of an endpoint.
    """
    ways = [str(choose_strategy(able, config.prompts.llm.output)) for able in known_capabilities(config)]
    return ways[0] if len(set(ways)) == 1 else f"below 1 B parameters: {ways[0]}; else: {ways[1]}"
