import pytest

from synaug.config import arms
from synaug.errors import DataError, UsageError
from tests.unit.training import helpers


def resolved(arm: dict, **training):
    return arms.resolve_arm(helpers.config({"a": arm}, **training), "a")


def test_arms_of_a_comparison_share_batch_steps_schedule_and_augmentation():
    kinds = {
        kind: resolved({"kind": kind, "scale": "1x"}) for kind in ("real", "real-half", "naive", "auxbn", "oracle")
    }
    assert all(r.settings == kinds["real"].settings for r in kinds.values())
    assert {kind: (r.n_real, r.n_synthetic, r.steps) for kind, r in kinds.items()} == {
        "real": (8, 0, 12),
        "real-half": (8, 0, 6),
        "naive": (4, 4, 12),
        "auxbn": (4, 4, 12),
        "oracle": (4, 4, 12),
    }


def test_scale_is_the_arms_own_or_the_runs_and_real_arms_have_none():
    assert resolved({"kind": "naive", "scale": "6x"}).scale == 6
    assert resolved({"kind": "naive"}).scale == 1
    assert resolved({"kind": "real", "scale": "6x"}).scale is None


def test_own_settings_are_merged_field_by_field_and_model_kwargs_replaced():
    own = {"lr": 0.5, "augmentation": {"mixup": 0.2}, "model_kwargs": {"stem_width": 16}}
    settings = resolved({"kind": "real", "settings": own}).settings
    assert (settings.lr, settings.augmentation.mixup, settings.augmentation.crop) == (0.5, 0.2, "pad")
    assert settings.model_kwargs == {"stem_width": 16}


@pytest.mark.parametrize("kind", ["naive", "auxbn", "oracle"])
def test_the_share_of_synthetic_images_is_rounded_to_whole_ones(kind):
    def split(share, batch_size=8):
        made = resolved({"kind": kind, "settings": {"synthetic_share": share}}, batch_size=batch_size)
        return made.n_real, made.n_synthetic

    assert [split(share) for share in (0.125, 0.25, 0.3, 0.75)] == [(7, 1), (6, 2), (6, 2), (2, 6)]
    assert split(0.5, batch_size=7) == (3, 4)
    assert resolved({"kind": "real"}, synthetic_share=0.25).n_real == 8


@pytest.mark.parametrize("share, images", [(0.05, 0), (0.95, 8)])
def test_a_split_that_leaves_one_side_empty_is_refused(share, images):
    with pytest.raises(
        UsageError, match=f"synthetic_share {share} of batch_size 8 is {images} images; a batch needs 1 to 7"
    ):
        resolved({"kind": "naive"}, synthetic_share=share)


def test_mistakes_are_named():
    with pytest.raises(UsageError, match=r"no arm 'auxbn-6x'; run\.yaml has real, naive"):
        arms.resolve_arm(helpers.config(), "auxbn-6x")
    with pytest.raises(UsageError, match=r"arms\.a\.settings\.lr.*-1"):
        resolved({"kind": "real", "settings": {"lr": -1}})
    with pytest.raises(UsageError, match=r"unknown key arms\.a\.settings\.learning_rate"):
        resolved({"kind": "real", "settings": {"learning_rate": 1}})
    with pytest.raises(UsageError, match="`oracle:` names no split"):
        arms.resolve_arm(helpers.config({"a": {"kind": "oracle"}}).model_copy(update={"oracle": None}), "a")


def test_changes_are_refused_with_the_difference():
    old = resolved({"kind": "naive", "scale": "1x"}).frozen()
    arms.refuse_changes(old, resolved({"kind": "naive", "scale": "1x"}).frozen(), where="there")
    new = resolved({"kind": "naive", "scale": "2x", "settings": {"augmentation": {"flip": True}}}).frozen()
    with pytest.raises(
        DataError,
        match=r"scale: 1 -> 2; settings\.augmentation\.flip: False -> True; set them back, or name another arm",
    ):
        arms.refuse_changes(old, new, where="there")


def test_another_oracle_split_is_another_training():
    def frozen(oracle):
        return arms.resolve_arm(
            helpers.config({"a": {"kind": "oracle"}}).model_copy(update={"oracle": oracle}), "a"
        ).frozen()

    assert resolved({"kind": "naive"}).frozen()["oracle"] is None
    with pytest.raises(DataError, match="oracle: 'more' -> 'others'"):
        arms.refuse_changes(frozen("more"), frozen("others"), where="there")


@pytest.mark.parametrize("kind", ["naive", "oracle"])
def test_a_training_from_before_the_share_and_the_oracle_were_frozen_is_still_its_arms(kind):
    new = resolved({"kind": kind}).frozen()
    old = {name: value for name, value in new.items() if name != "oracle"}
    old["settings"] = {name: value for name, value in new["settings"].items() if name != "synthetic_share"}
    assert arms.changes(old, new) == [] and "synthetic_share" not in old["settings"]
    quarter = resolved({"kind": kind, "settings": {"synthetic_share": 0.25}}).frozen()
    assert arms.changes(old, quarter) == ["settings.synthetic_share: 0.5 -> 0.25"]
