import pytest

from synaug.backends.protocols import LLMCapabilities
from synaug.prompts.strategy import choose_strategy

SMALL_HERE = LLMCapabilities(small=True, likelihoods=True, batches=True)
LARGE_HERE = LLMCapabilities(likelihoods=True, batches=True)
SERVED = LLMCapabilities(json="schema", concurrency=8)


@pytest.mark.parametrize(
    ("able", "output", "pools", "senses", "together"),
    [
        (SMALL_HERE, "auto", "lines", "likelihood", False),
        (SMALL_HERE, "json", "json", "likelihood", True),
        (LARGE_HERE, "auto", "json", "listed", True),
        (LARGE_HERE, "lines", "lines", "listed", False),
        (SERVED, "auto", "json", "listed", False),
        (SERVED, "lines", "lines", "ranked", False),
    ],
)
def test_an_llm_is_asked_by_what_it_can_do_and_by_the_setting(able, output, pools, senses, together):
    strategy = choose_strategy(able, output)
    assert (strategy.pools, strategy.senses, strategy.together) == (pools, senses, together)


def test_what_is_done_is_said():
    assert str(choose_strategy(SERVED, "auto")) == "values by JSON by schema; senses listed by the LLM (JSON by schema)"
    assert "ranked by likelihood" in str(choose_strategy(SMALL_HERE, "auto"))
