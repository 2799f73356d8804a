"""Coverage of real images drawn in one way: by plain ones drawn alike, black cd ones, sd ones that hardly vary."""

import pytest

from synaug.errors import DataError
from synaug.evaluation.diagnostics import coverage
from synaug.evaluation.diagnostics.classifier import find_classifier
from synaug.evaluation.diagnostics.features import open_features
from tests.unit.evaluation.diagnostics import made
from tests.unit.training import helpers


def measured(one, *, features: str = "classifier", reference: str = "train", images: int = 200):
    space = open_features(one, features, find_classifier(one, None))
    given = coverage.inputs(one, features, space, reference=reference, images_per_class=images)
    return coverage.measure(one, space, given)


@pytest.fixture(params=["classifier", "clip"])
def view(request, empty):
    one = made.filled(empty)
    made.put_classifier(one)
    return measured(one, features=request.param)


def test_a_likeness_shows_in_precision_and_its_lack_of_variety_in_recall_and_coverage(view):
    assert list(view.rows) == ["all", "plain", "cd", "sd", "real"]
    within = {name: row.by_class for name, row in view.rows.items()}
    for name in ("plain", "real"):
        assert within[name].coverage > 0.85 and within[name].density == pytest.approx(1, abs=0.3)
    assert within["real"].precision + within["real"].recall < 2  # other images, not the same ones
    assert within["cd"].precision == within["cd"].coverage == 0
    assert within["sd"].recall < 0.2 and within["sd"].coverage < 0.7
    assert within["cd"].coverage < within["all"].coverage < within["plain"].coverage


def test_every_row_has_one_number_of_images(view):
    assert view.n == {f"c{n}": 20 for n in range(helpers.CLASSES)} and view.n_over_all == 80 and view.size == "20"


def test_another_split_is_a_reference_and_a_limit_holds(empty):
    one = made.filled(empty)
    helpers.add_split(empty, "more", images=400, seed=5)
    view = measured(one, reference="more", images=12)
    assert view.inputs.reference == "more" and set(view.n.values()) == {12} and view.n_over_all == 48


def test_over_all_a_part_of_each_class_is_taken_where_there_are_many(empty, monkeypatch):
    monkeypatch.setattr(coverage, "MOST_OVER_ALL", 40)
    assert measured(made.filled(empty)).n_over_all == 40


def test_a_kind_with_too_few_images_is_left_out_and_named(empty):
    one = made.filled(empty, kinds={"plain": made.picture}, per_kind=20)
    assert list(measured(one).rows) == ["all", "plain", "real"]


def test_classes_with_too_few_images_are_left_out_and_named(empty):
    one = made.filled(empty)
    tables = helpers.add_split(empty, "uneven", images=160)
    few = [row.key for table in tables for row in table.rows() if row.label == 2][:12]
    for n, table in enumerate(tables):
        rest = table.select(n for n, row in enumerate(table.rows()) if row.label != 2 or row.key in few)
        empty.put(f"real/uneven-{n:06d}.json", rest.model_dump_json().encode())
    view = measured(one, reference="uneven")
    assert view.left_out == {"c2": 6} and list(view.n) == ["c0", "c1", "c3"]


def test_too_few_real_images_are_refused(empty):
    with pytest.raises(
        DataError, match=r"no class holds 10 synthetic .* 20 real ones of .* 'train': at most 20 and 8; give a larger"
    ):
        measured(made.filled(empty, real=32))


def test_a_reference_that_is_not_imported_is_refused(empty):
    with pytest.raises(DataError, match=r"no split 'nowhere' in the store .*; imported: test, train"):
        measured(made.filled(empty), reference="nowhere")
