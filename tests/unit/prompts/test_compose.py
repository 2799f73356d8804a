from collections import Counter

import pytest

from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.prompts.compose import compose, plain_prompts
from synaug.prompts.schema import ClassPrompts
from synaug.run.plan import Plan

POOLS = {"foreground": ["worn brown"], "background": ["on a beach"], "lighting": ["backlit"], "angle": ["in close-up"]}


def config(**prompts):
    return Config.model_validate({"prompts": prompts})


def plan(styles=("oil painting",)):
    return Plan(
        digest="",
        classes=[ClassEntry(id="boot", names=["ankle boot"])],
        real_counts={"boot": 1},
        class_shards=[["boot"]],
        part_images=1,
        models=[],
        styles=list(styles),
        scale=1,
        versions={},
    )


def made(**changed):
    values = dict(
        class_id="boot", name="ankle boot", senses=[], chosen="", pools=POOLS, plain=["a photo of an ankle boot"]
    )
    return ClassPrompts(**values | changed)


def prompts(n=600, **changed):
    return [compose(config(), plan(), made(**changed), index) for index in range(n)]


def test_a_prompt_depends_on_seed_class_and_index_only():
    assert prompts(50) == prompts(50)
    assert [p.text for p in prompts(50)] != [p.text for p in prompts(50, class_id="other")]


def test_kinds_follow_the_mix():
    counts = Counter(prompt.kind for prompt in prompts())
    assert all(160 < counts[kind] < 240 for kind in ("plain", "cd", "sd"))


def test_the_class_name_comes_first_and_attributes_follow_in_order():
    for prompt in prompts():
        if prompt.kind == "cd":
            assert prompt.text == ", ".join(["a photo of an ankle boot", *prompt.attributes.values()])
            assert prompt.attributes and list(prompt.attributes) == [
                name for name in POOLS if name in prompt.attributes
            ]
        elif prompt.kind == "sd":
            assert (prompt.text, prompt.attributes) == ("an oil painting of an ankle boot", {"style": "oil painting"})
        else:
            assert (prompt.text, prompt.attributes) == ("a photo of an ankle boot", {})


def test_a_class_without_pools_gets_plain_texts_for_cd():
    assert {p.text for p in prompts(pools={}) if p.kind == "cd"} == {"a photo of an ankle boot"}


def test_the_definition_follows_the_name_unless_definitions_are_off():
    chosen = "a large wading bird (of marshes); has long legs"
    assert plain_prompts(config(), name="crane", chosen=chosen, own=[]) == ["a photo of a crane, a large wading bird"]
    assert plain_prompts(config(definitions=False), name="crane", chosen=chosen, own=[]) == ["a photo of a crane"]


def test_the_context_replaces_the_photo():
    aerial = Config.model_validate({"context": "aerial photograph"})
    assert plain_prompts(aerial, name="airport", chosen="", own=[]) == ["an aerial photograph of an airport"]


def test_own_prompts_replace_the_template():
    assert plain_prompts(config(), name="crane", chosen="a bird", own=["my crane"]) == ["my crane"]


def test_a_definition_enters_without_its_parentheses_and_only_its_first_clause():
    text, *_ = plain_prompts(
        Config(), name="trousers", chosen="(usually in the plural) a garment for the legs; worn daily", own=[]
    )
    assert text == "a photo of trousers, a garment for the legs"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a photo of {name}", "an aerial photograph of a dog"),
        ("{name}, product photo", "a dog, product photo, aerial photograph"),
    ],
)
def test_a_context_enters_every_template(template, expected):
    config = Config(context="aerial photograph", prompts={"template": template})
    assert plain_prompts(config, name="dog", chosen="", own=[]) == [expected]
