from synaug.backends.protocols import Answer, Question
from synaug.prompts.llm_json import ask, find_objects
from tests.fakes import Answers


def test_values_are_found_among_words_fences_and_other_brackets():
    assert list(find_objects('Use {these}:\n```json\n{"a": {"b": 1}}\n``` and {"c": 2}')) == [
        {"a": {"b": 1}},
        {"c": 2},
    ]


def test_of_a_list_cut_short_the_whole_items_are_left():
    assert list(find_objects('[{"a": 1}, {"b": 2}, {"c": ')) == [{"a": 1}, {"b": 2}]


def test_an_answer_without_any_gives_nothing():
    assert list(find_objects("none {at} all {")) == []


QUESTION = Question(messages=[{"role": "user", "content": "list"}], n=2, seed=1, max_tokens=64)


def test_only_answers_that_were_cut_are_asked_for_again_with_more():
    llm = Answers(Answer("whole"), Answer("cut sh", cut=True), Answer("cut short no more"))
    assert ask(llm, QUESTION) == ["whole", "cut short no more"]
    assert [(q.n, q.max_tokens) for q in llm.questions] == [(2, 64), (1, 128)]
    assert llm.questions[0].seed != llm.questions[1].seed


def test_an_answer_without_an_end_is_given_up_after_two_doublings():
    llm = Answers(*[Answer(f"{n} and", cut=True) for n in range(9)])
    assert ask(llm, QUESTION) == ["4 and", "5 and"]
    assert [q.max_tokens for q in llm.questions] == [64, 128, 256]
