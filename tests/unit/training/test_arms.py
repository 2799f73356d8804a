import pytest

from synaug.errors import DataError, UsageError
from synaug.training import arms
from tests.unit.training import helpers


def recipe(arm: dict, **training):
    return arms.recipe(helpers.config({"a": arm}, **training), "a")


def test_arms_of_a_comparison_share_batch_steps_schedule_and_augmentation():
    kinds = {kind: recipe({"kind": kind, "scale": "1x"}) for kind in ("real", "real-half", "naive", "auxbn", "oracle")}
    assert all(r.settings == kinds["real"].settings for r in kinds.values())
    assert {kind: (r.n_real, r.n_synthetic, r.steps) for kind, r in kinds.items()} == {
        "real": (8, 0, 12),
        "real-half": (8, 0, 6),
        "naive": (4, 4, 12),
        "auxbn": (4, 4, 12),
        "oracle": (4, 4, 12),
    }


def test_scale_is_the_arms_own_or_the_runs_and_real_arms_have_none():
    assert recipe({"kind": "naive", "scale": "6x"}).scale == 6
    assert recipe({"kind": "naive"}).scale == 1
    assert recipe({"kind": "real", "scale": "6x"}).scale is None


def test_own_settings_are_merged_field_by_field_and_model_kwargs_replaced():
    own = {"lr": 0.5, "augmentation": {"mixup": 0.2}, "model_kwargs": {"stem_width": 16}}
    settings = recipe({"kind": "real", "settings": own}).settings
    assert (settings.lr, settings.augmentation.mixup, settings.augmentation.crop) == (0.5, 0.2, "pad")
    assert settings.model_kwargs == {"stem_width": 16}


@pytest.mark.parametrize("kind", ["naive", "auxbn", "oracle"])
def test_a_batch_that_cannot_be_halved_is_refused(kind):
    with pytest.raises(UsageError, match="batch_size 7 cannot be split"):
        recipe({"kind": kind}, batch_size=7)
    assert recipe({"kind": "real"}, batch_size=7).n_real == 7


def test_mistakes_are_named():
    with pytest.raises(UsageError, match=r"no arm 'auxbn-6x'; run\.yaml has real, naive"):
        arms.recipe(helpers.config(), "auxbn-6x")
    with pytest.raises(UsageError, match=r"arms\.a\.settings\.lr.*-1"):
        recipe({"kind": "real", "settings": {"lr": -1}})
    with pytest.raises(UsageError, match=r"unknown key arms\.a\.settings\.learning_rate"):
        recipe({"kind": "real", "settings": {"learning_rate": 1}})
    with pytest.raises(UsageError, match="`oracle:` names no split"):
        arms.recipe(helpers.config({"a": {"kind": "oracle"}}).model_copy(update={"oracle": None}), "a")


def test_changes_are_refused_with_the_difference():
    old = recipe({"kind": "naive", "scale": "1x"}).frozen()
    arms.refuse_changes(old, recipe({"kind": "naive", "scale": "1x"}).frozen(), where="there")
    new = recipe({"kind": "naive", "scale": "2x", "settings": {"augmentation": {"flip": True}}}).frozen()
    with pytest.raises(DataError, match=r"scale: 1 -> 2; settings\.augmentation\.flip: False -> True; set them back, or name another arm"):
        arms.refuse_changes(old, new, where="there")
