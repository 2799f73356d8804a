"""Computed once, and again when what it was computed from changed."""

import pytest

from synaug.data import layout
from synaug.errors import ModelError, UsageError
from synaug.evaluation.diagnostics import coverage, fidelity
from synaug.evaluation.diagnostics.diagnose import diagnose
from synaug.evaluation.diagnostics.schema import load
from tests.unit.evaluation.diagnostics import made
from tests.unit.training import helpers


@pytest.fixture
def measured(monkeypatch):
    """What is measured from now on."""
    seen = []
    for module in (fidelity, coverage):
        own = module.measure
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, "measure", lambda *args, own=own, name=name: seen.append(name) or own(*args))
    return seen


def judged(one, **options):
    return diagnose(one, features=["classifier"], **options)


def test_what_is_found_is_kept_and_left(empty, measured):
    one = made.filled(empty)
    found = judged(one)
    assert measured == ["fidelity", "coverage"] and found.branches is None
    assert load(empty, "r") == found
    before = {key: empty.get(key) for key in empty.list("")}
    assert judged(one) == found and measured == ["fidelity", "coverage"]
    assert {key: empty.get(key) for key in empty.list("")} == before


def test_other_synthetic_images_are_measured_again(empty, measured):
    one = made.filled(empty)
    judged(one)
    made.add_synthetic(empty, dict.fromkeys(made.KINDS, made.black), per_kind=20)
    assert judged(one).coverage.views[0].rows["plain"].by_class.coverage == 0
    assert measured == ["fidelity", "coverage"] * 2


def test_another_classifier_is_asked_again(empty, measured):
    one = made.filled(empty)
    assert judged(one).fidelity.classes["c1"].top1 == 1
    made.put_classifier(one, answer=2)
    assert judged(one).fidelity.classes["c2"].top1 == 1
    assert measured == ["fidelity", "coverage"] * 2


def test_a_view_of_another_reference_stays_beside_until_the_set_changes(empty, measured):
    one = made.filled(empty)
    helpers.add_split(empty, "more", images=160, seed=5)
    judged(one)
    assert [view.inputs.reference for view in judged(one, reference="more").coverage.views] == ["more"]
    assert [view.inputs.reference for view in load(empty, "r").coverage.views] == ["more", "train"]
    judged(one)
    assert measured == ["fidelity", "coverage", "coverage"]
    made.add_synthetic(empty, dict.fromkeys(made.KINDS, made.black), per_kind=20)
    judged(one)
    assert [view.inputs.reference for view in load(empty, "r").coverage.views] == ["train"]


def test_branches_come_with_a_trained_auxbn_arm(empty):
    one = made.filled(empty)
    helpers.train(helpers.job(empty, "auxbn"))
    assert list(judged(one).branches.arms) == ["auxbn"]
    assert empty.exists(layout.diagnostics("r", "branches"))


def test_unknown_features_are_refused_before_anything_is_measured(empty, measured):
    one = made.filled(empty)
    with pytest.raises(UsageError, match="--features 'dino' is unknown; give clip, classifier or timm:NAME"):
        diagnose(one, features=["dino"])
    with pytest.raises(ModelError, match="--features timm:dino: timm has no such model"):
        diagnose(one, features=["timm:dino"])
    assert measured == []


def test_weights_that_are_not_to_be_had_say_so(empty, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"timm model resnet10t cannot be loaded: .*--features clip"):
        diagnose(made.filled(empty), features=["timm:resnet10t"])
