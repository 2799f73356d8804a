import json

import pytest

from synaug.config import Config
from synaug.data import layout
from synaug.data.store import open_store
from synaug.run.tokens import TokenCount, describe_tokens, expected_tokens, spent_tokens

PRICED = Config.model_validate({"prompts": {"llm": {"price_per_million": {"input": 2, "output": 10}}}})


def put(store, stage, unit, tokens):
    store.put(layout.timing("first", stage, unit), json.dumps({"seconds": 1, **tokens}).encode())


def counted(read, written, classes):
    return {"tokens": {"input": read, "output": written, "classes": classes}}


def test_cost_is_by_the_price_of_each_kind_and_unknown_without_prices():
    tokens = TokenCount(1_000_000, 500_000)
    assert tokens.cost(PRICED) == pytest.approx(7) and tokens.cost(Config()) is None
    assert describe_tokens(tokens, PRICED) == "1,000,000 tokens read, 500,000 written, cost 7.00"
    assert describe_tokens(tokens, Config()) == "1,000,000 tokens read, 500,000 written"


def test_what_is_left_is_expected_from_a_preview_until_classes_are_finished(tmp_path):
    store = open_store(tmp_path.as_uri(), create=True)
    put(store, "prompts", "000", {})  # of before tokens were counted
    assert expected_tokens(store, "first", 5) is None
    put(store, "preview", "prompts", counted(80, 8, 4))
    assert expected_tokens(store, "first", 5) == TokenCount(100, 10)
    put(store, "prompts", "001", counted(30, 3, 1))
    put(store, "prompts", "002", counted(10, 1, 1))
    assert spent_tokens(store, "first").tokens == TokenCount(40, 4)
    assert expected_tokens(store, "first", 5) == TokenCount(100, 10)
