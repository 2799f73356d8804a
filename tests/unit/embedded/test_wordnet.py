from synaug.embedded.wordnet import meanings


def test_meanings_come_in_wordnets_order():
    assert [m.category for m in meanings("coat")] == ["artifact", "artifact", "animal"]
    assert meanings("coat")[0].definition.startswith("an outer garment")


def test_a_plural_is_looked_up_by_its_singular():
    assert meanings("trousers")[0].lemma == "trouser" and meanings("knives")[0].lemma == "knife"


def test_a_compound_without_an_entry_has_the_meanings_of_its_last_words():
    assert meanings("ankle boot") == meanings("boot") != []


def test_examples_are_not_part_of_a_definition():
    assert not any('"' in m.definition for m in meanings("shirt") + meanings("bag"))


def test_an_unknown_word_has_none():
    assert meanings("qwzxv") == []
