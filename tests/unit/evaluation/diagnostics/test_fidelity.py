import pytest

from synaug.errors import DataError
from synaug.evaluation.diagnostics import fidelity
from synaug.evaluation.diagnostics.classifier import find_classifier
from tests.unit.evaluation.diagnostics import made
from tests.unit.training.helpers import CLASSES


def measured(one, images: int = 200):
    judge = find_classifier(one, None)
    return fidelity.measure(one, judge, fidelity.inputs(one, judge, images_per_class=images))


def test_a_classifier_with_one_answer_is_right_about_one_class(empty):
    found = measured(made.filled(empty))
    assert {kind: (one.top1, one.n) for kind, one in found.kinds.items()} == {
        "all": (1 / CLASSES, 240),
        "plain": (1 / CLASSES, 80),
        "cd": (1 / CLASSES, 80),
        "sd": (1 / CLASSES, 80),
    }
    assert {class_id: one.top1 for class_id, one in found.classes.items()} == {"c0": 0, "c1": 1, "c2": 0, "c3": 0}
    assert found.real["test"].top1 == 1 / CLASSES and found.real["test"].n == 40


def test_at_most_so_many_images_of_a_class_are_drawn_from_all_kinds_as_the_run_mixes_them(empty):
    found = measured(made.filled(empty), images=30)
    assert [one.n for one in found.classes.values()] == [30] * CLASSES
    assert sum(one.n for kind, one in found.kinds.items() if kind != "all") == found.kinds["all"].n == 30 * CLASSES
    assert all(20 < found.kinds[kind].n < 60 for kind in made.KINDS)
    assert measured(made.job(empty), images=30) == found


def test_a_test_set_that_is_not_there_is_left_out(empty):
    one = made.filled(empty)
    for key in [key for key in empty.list("real/") if key.startswith("real/test")]:
        empty.delete(key)
    assert measured(one).real == {}


def test_a_run_that_is_not_indexed_is_refused(empty):
    one = made.filled(empty)
    empty.delete("runs/r/index.json")
    with pytest.raises(DataError, match="r has no index yet; run `python -m synaug index"):
        measured(one)
