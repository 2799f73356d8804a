"""The tokens of an LLM: counted by the prompts stage, summed by status, expected by plan, priced by prompts.llm."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from synaug.config import Config
from synaug.data import layout
from synaug.data.store import Store


@dataclass(frozen=True)
class TokenCount:
    """Tokens that were read and written."""

    input: int = 0
    output: int = 0

    def __add__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(self.input + other.input, self.output + other.output)

    def __sub__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(self.input - other.input, self.output - other.output)

    def cost(self, config: Config) -> float | None:
        """Compute what they cost; None without prices."""
        price = config.prompts.llm.price_per_million
        if price.input is None or price.output is None:
            return None
        return (self.input * price.input + self.output * price.output) / 1e6


@dataclass(frozen=True)
class TokensOfClasses:
    """The tokens that were spent on so many finished classes, those of failed tries among them."""

    tokens: TokenCount = TokenCount()
    classes: int = 0

    def __add__(self, other: "TokensOfClasses") -> "TokensOfClasses":
        return TokensOfClasses(self.tokens + other.tokens, self.classes + other.classes)

    @classmethod
    def read(cls, timing: dict[str, Any]) -> "TokensOfClasses":
        """Read a timing file of the prompts stage, or of its preview; nothing where it counted none."""
        found = timing.get("tokens") or {"input": 0, "output": 0, "classes": 0}
        return cls(TokenCount(found["input"], found["output"]), found["classes"])

    def record(self) -> dict[str, Any]:
        """Return what a timing file says of them."""
        return {"tokens": asdict(self.tokens) | {"classes": self.classes}}


def spent_tokens(store: Store, run: str) -> TokensOfClasses:
    """Sum up what the prompts stage has counted in a run."""
    keys = store.list(layout.timing(run, "prompts", "").removesuffix(".json"))
    return sum((TokensOfClasses.read(json.loads(store.get(key))) for key in keys), TokensOfClasses())


def expected_tokens(store: Store, run: str, classes: int) -> TokenCount | None:
    """Expect the tokens of so many more classes, by those of finished ones, else of a preview; None: unmeasured."""
    known = spent_tokens(store, run)
    preview = layout.timing(run, "preview", "prompts")
    if not known.classes and store.exists(preview):
        known = TokensOfClasses.read(json.loads(store.get(preview)))
    if not known.classes:
        return None
    share = classes / known.classes
    return TokenCount(round(known.tokens.input * share), round(known.tokens.output * share))


def describe_tokens(tokens: TokenCount, config: Config) -> str:
    """Write tokens for people: `12,000 tokens read, 3,400 written, cost 0.02`."""
    cost = tokens.cost(config)
    counted = f"{tokens.input:,} tokens read, {tokens.output:,} written"
    return counted if cost is None else f"{counted}, cost {cost:,.2f}"
