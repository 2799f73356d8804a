from synaug.prompts.llm_json import find_objects


def test_values_are_found_among_words_fences_and_other_brackets():
    assert list(find_objects('Use {these}:\n```json\n{"a": {"b": 1}}\n``` and {"c": 2}')) == [
        {"a": {"b": 1}},
        {"c": 2},
    ]


def test_of_a_list_cut_short_the_whole_items_are_left():
    assert list(find_objects('[{"a": 1}, {"b": 2}, {"c": ')) == [{"a": 1}, {"b": 2}]


def test_an_answer_without_any_gives_nothing():
    assert list(find_objects("none {at} all {")) == []
