import json
from pathlib import Path

import pytest
import torch

from synaug.config import Config
from synaug.data.classes import ClassEntry, load_classes
from synaug.prompts.attributes import EXAMPLES, AttributePools, Embedder, make_pools, parse_attributes, parse_line
from synaug.prompts.schema import ATTRIBUTES
from tests.fakes import Answers

BOOT = ClassEntry(id="boot", names=["ankle boot"])


class Letters:
    """A CLIP for which texts with the same letters say the same."""

    def embed_texts(self, texts):
        counts = torch.tensor(
            [[float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        )
        return torch.nn.functional.normalize(counts, dim=-1)


def offered(*values, size=8):
    pools = AttributePools(Embedder(Letters()), ("crane", "dress"), ("ankle boot",), size)
    pools.offer("background", list(values))
    return pools


def test_values_are_tidied_and_kept_up_to_the_size():
    assert offered(" On a  beach. ", "in a wood", "by the lake", size=2).values["background"] == [
        "on a beach",
        "in a wood",
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("beside two cranes", "names another class"),
        ("under an ankle boot", "repeats the class"),
        ("see www.example.com/1", "no short phrase"),
        ("one two three four five six seven eight nine ten", "no short phrase"),
        ("on a beach", "said before"),
        ("a beach, on", "means the same"),
    ],
)
def test_a_value_that_is_no_use_is_refused_and_counted(value, reason):
    pools = offered("on a beach", value)
    assert pools.values["background"] == ["on a beach"] and pools.refused == {reason: 1}


def test_a_line_is_read_by_fields_and_one_cut_short_keeps_the_whole_ones():
    assert parse_line(" worn | on a beach | backlit | close-up") == ["worn", "on a beach", "backlit", "close-up"]
    assert parse_line("worn | on a beach | back") == ["worn", "on a beach"]
    assert parse_line("just words") == [] == parse_line("a | b | c | d | e")


def test_json_is_read_out_of_a_fence_and_other_shapes_give_nothing():
    assert parse_attributes('```json\n{"angle": ["close-up"], "mood": ["sad"]}\n```') == {"angle": ["close-up"]}
    assert parse_attributes('{"angle": "close-up"}') == {} == parse_attributes("no")


def test_a_bad_item_or_key_costs_no_other_value():
    answer = 'As {asked}: {"angle": ["close-up", 3], "foreground": ["red"], "lighting": "dim", "note": "four lists"}'
    assert parse_attributes(answer) == {"angle": ["close-up"], "foreground": ["red"]}


def test_what_is_missing_is_asked_for_again_within_bounds():
    first = json.dumps({name: ["shiny red"] for name in ATTRIBUTES[:1]})
    second = json.dumps({name: [f"{name} words"] for name in ATTRIBUTES})
    llm = Answers(first, second)
    pools = make_pools(
        llm, Letters(), BOOT, Config.model_validate({"prompts": {"values": 1}}), definition="", other_names=()
    )
    assert pools.values["foreground"] == ["shiny red"] and pools.full and len(llm.seeds) == 2
    hopeless = Answers()
    assert not make_pools(hopeless, Letters(), BOOT, Config(), definition="", other_names=()).full
    assert 1 < len(set(hopeless.seeds)) == len(hopeless.seeds) < 6


def test_a_model_that_answers_in_batches_is_asked_for_all_rounds_at_once():
    rounds = [json.dumps({name: [f"{name} {word}"] for name in ATTRIBUTES}) for word in ("one", "two", "three")]
    llm = Answers(*rounds, batches=True)
    pools = make_pools(
        llm, Letters(), BOOT, Config.model_validate({"prompts": {"values": 3}}), definition="", other_names=()
    )
    assert pools.values["angle"] == ["angle one", "angle two", "angle three"]
    assert [question.n for question in llm.questions] == [3]


@pytest.fixture(scope="module")
def imagenet():
    return load_classes(Config.model_validate({"classes": "imagenet-1k"}), Path())


def test_all_shipped_examples_pass_on_the_thousand_names_of_imagenet(imagenet):
    names = tuple(entry.name for entry in imagenet)
    assert len(names) == 1000
    refused = []
    for line in EXAMPLES:
        pools = AttributePools(Embedder(Letters()), names, (), 1)
        for attribute, value in zip(ATTRIBUTES, parse_line(line.partition(":")[2]), strict=True):
            pools.offer(attribute, [value])
        refused += [(line, attribute, pools.refused) for attribute, kept in pools.values.items() if not kept]
    assert refused == []


@pytest.mark.parametrize(
    ("attribute", "value", "taken"),
    [
        ("background", "beside a laptop", False),
        ("background", "next to two sports cars on a road", False),
        ("foreground", "holding a teapot", False),
        ("foreground", "wrapped in banana leaves", True),
        ("background", "at the seashore", True),
        ("background", "in front of a library", True),
        ("lighting", "lit by a candle", True),
        ("lighting", "under a spotlight", True),
        ("angle", "seen through a window screen", True),
    ],
)
def test_only_a_head_noun_names_another_class_and_never_a_place_or_light(imagenet, attribute, value, taken):
    pools = AttributePools(Embedder(Letters()), tuple(entry.name for entry in imagenet), (), 1)
    pools.offer(attribute, [value])
    assert pools.refused == ({} if taken else {"names another class": 1})
