import pytest

from synaug.prompts.english import names_one_of, with_article


@pytest.mark.parametrize(
    "noun",
    [
        "a bus",
        "a glass",
        "a lens",
        "an ibis",
        "an ankle boot",
        "an hourglass",
        "an umbrella",
        "a dress",
        "an abacus",
        "a walrus",
    ],
)
def test_a_singular_noun_takes_its_article(noun):
    assert with_article(noun.split(" ", 1)[1]) == noun


@pytest.mark.parametrize(
    "noun", ["trousers", "scissors", "sunglasses", "jeans", "binoculars", "running shoes", "knives", "dishes"]
)
def test_a_plural_noun_takes_none(noun):
    assert with_article(noun) == noun


@pytest.mark.parametrize(
    "text", ["two dresses", "an ankle boot", "old Ankle Boots", "cranes", "a knife", "three knives", "trousers"]
)
def test_a_class_is_named_in_singular_and_plural(text):
    assert names_one_of(text, ("trousers", "ankle boot", "dress", "crane", "knife"))


@pytest.mark.parametrize("text", ["undressed", "a t-shirt", "craned necks", "on a wooden floor"])
def test_part_of_another_word_is_no_name(text):
    assert not names_one_of(text, ("shirt", "dress", "crane"))


def test_no_names_match_nothing():
    assert not names_one_of("anything", ())
