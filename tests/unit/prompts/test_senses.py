import json

import pytest
import torch
from torch.nn.functional import normalize

from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.prompts.schema import Sense
from synaug.prompts.senses import choose_sense, list_senses, parse_senses
from tests.fakes import Answers

CRANE = ClassEntry(id="crane", names=["crane"])
BIRD, MACHINE = Sense(sense="bird", definition="a wading bird"), Sense(sense="machine", definition="a lifting machine")
RECORDED = (
    'Sure! ```json\n[{"sense": "bird", "visual_definition": "a tall wading bird"},\n'
    '{"sense": "machine", "visual_definition": "lifts loads"}]\n```'
)


class Texts:
    """A CLIP whose texts lie where the test puts them."""

    def __init__(self, **places):
        self.places = places

    def embed_texts(self, texts):
        places = [next((at for word, at in self.places.items() if word in text), [0.3, 0.3, 1.0]) for text in texts]
        return normalize(torch.tensor(places), dim=-1)


OWN, OTHERS = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])


def chosen(listed=(MACHINE, BIRD), **places):
    return choose_sense(Texts(**places), CRANE, list(listed), OWN, OTHERS, Config())


def test_the_sense_of_the_real_images_is_chosen_with_its_margin():
    choice = chosen(bird=[1.0, 0.0, 0.0], machine=[0.5, 0.5, 0.0])
    assert (choice.chosen, choice.flagged, choice.fallback) == ("a wading bird", False, [])
    assert choice.margin == 1.0 and {sense.definition for sense in choice.senses} == {
        "",
        "a wading bird",
        "a lifting machine",
    }


def test_a_text_that_fits_everything_does_not_win():
    assert chosen(bird=[0.6, 0.0, 0.8], machine=[0.7, 0.7, 0.1]).chosen == "a wading bird"


def test_a_small_margin_is_flagged():
    assert chosen(bird=[1.0, 0.0, 0.0], machine=[1.0, 0.0, 0.05]).flagged


def test_where_no_sense_fits_the_plain_name_stays_and_is_counted():
    choice = chosen(bird=[0.0, 1.0, 0.0], machine=[0.0, 1.0, 0.0])
    assert (choice.chosen, choice.flagged) == ("", True) and "no sense fits" in choice.fallback[0]


def test_a_name_without_definitions_is_counted():
    assert chosen(listed=()).fallback == ["no definition was found"]


def test_senses_are_read_out_of_words_and_fences():
    assert [sense.sense for sense in parse_senses(RECORDED)] == ["bird", "machine"]


def test_a_bad_item_or_an_end_cut_off_costs_no_other_item():
    good = '{"sense": "bird", "visual_definition": "a tall bird", "id": 1}'
    for answer in (f"Here [strict]: [{good}]", f'[{good}, {{"sense": 3}}]', f'[{good}, {{"sense": "machine", "visual_'):
        assert [sense.definition for sense in parse_senses(answer)] == ["a tall bird"]


@pytest.mark.parametrize(
    "answer", ["", "no idea", "[1, 2]", '[{"sense": "bird"}]', '[{"sense": "bird", ', '{"sense": "bird"}']
)
def test_an_answer_of_another_shape_is_none(answer):
    assert parse_senses(answer) == []


def test_a_bad_answer_is_asked_again_with_another_seed_and_not_for_ever():
    llm = Answers("hm", RECORDED)
    assert [sense.definition for sense in list_senses(llm, CRANE, Config())] == ["a tall wading bird", "lifts loads"]
    assert len(set(llm.seeds)) == 2
    assert list_senses(Answers(*["hm"] * 3), CRANE, Config()) == []


def test_no_more_than_max_senses_are_kept():
    answer = json.dumps([{"sense": str(n), "visual_definition": f"thing {n}"} for n in range(9)])
    assert len(list_senses(Answers(answer), CRANE, Config())) == Config().prompts.max_senses


def test_senses_are_read_out_of_the_object_that_a_schema_asks_for():
    answer = '{"senses": [{"sense": "bird", "visual_definition": "a tall bird"}, {"sense": 3}, "word"]}'
    assert [sense.definition for sense in parse_senses(answer)] == ["a tall bird"]


def test_without_likelihoods_the_dictionarys_senses_are_ranked_by_an_answer():
    config = Config.model_validate({"prompts": {"llm": {"output": "lines"}, "max_senses": 3}})
    commonest = [sense.definition for sense in list_senses(Answers(), CRANE, config)]
    llm = Answers('{"likely": [2, 99, "x", 2]}')
    ranked = [sense.definition for sense in list_senses(llm, CRANE, config)]
    assert ranked == [commonest[1], commonest[0], *commonest[2:]] and "crane" in llm.questions[0].messages[0]["content"]
