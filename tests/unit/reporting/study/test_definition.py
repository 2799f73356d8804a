"""A study's file, alone and with others: what it becomes, and what it is refused for."""

from pathlib import Path

import pytest
import yaml

from synaug.config.load import load_config
from synaug.errors import UsageError
from synaug.reporting.study.comparability import check_comparable
from synaug.reporting.study.definition import load_study

STUDIES = Path(__file__).parents[4] / "docs" / "study"
ARMS = {
    "real": {"kind": "real"},
    "real-half": {"kind": "real-half"},
    "mix": {"kind": "naive", "scale": "1x"},
    "aux": {"kind": "auxbn", "scale": "1x"},
}
BASE = {
    "classes": [{"id": "bag", "names": ["bag"]}],
    "seeds": [0, 1],
    "training": {"batch_size": 8, "steps": 10},
    "tests": {"val": {"split": "val"}},
}


def written(tmp_path, *, name="study.yaml", comparison=None, **runs):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))
    comparisons = {name.partition(".")[0]: {"title": "t"} | comparison} if comparison else {}
    study = {"title": "t", "base": "base.yaml", "runs": runs or {"one": {"arms": ARMS}}, "comparisons": comparisons}
    (tmp_path / name).write_text(yaml.safe_dump(study, sort_keys=False))
    return tmp_path / name


def checked(file):
    study = load_study([file])
    check_comparable(study)
    return study


def test_a_run_is_the_base_with_its_changes_section_by_section(tmp_path):
    study = checked(written(tmp_path, one={"seed": 3, "training": {"steps": 20}, "arms": ARMS}))
    assert (
        study.configs["one"].seed,
        study.configs["one"].training.steps,
        study.configs["one"].training.batch_size,
    ) == (3, 20, 8)


def test_a_run_of_two_files_has_the_arms_of_both(tmp_path):
    a = written(tmp_path, name="a.yaml", one={"arms": {"real": ARMS["real"]}})
    b = written(tmp_path, name="b.yaml", one={"arms": {"mix": ARMS["mix"]}})
    assert list(load_study([a, b]).configs["one"].arms) == ["real", "mix"]


def test_two_files_that_say_different_things_of_a_run_are_refused(tmp_path):
    a, b = written(tmp_path, name="a.yaml", one={"seed": 1}), written(tmp_path, name="b.yaml", one={"seed": 2})
    with pytest.raises(
        UsageError, match=r"runs.one is another than in an earlier file: seed: 1 -> 2; only `arms` may differ"
    ):
        load_study([a, b])
    b = written(tmp_path, name="b.yaml", one={"seed": 1, "arms": {"real": {"kind": "real-half"}}})
    a = written(tmp_path, name="a.yaml", one={"seed": 1, "arms": {"real": {"kind": "real"}}})
    with pytest.raises(UsageError, match=r"runs.one.arms.real.kind: 'real-half', and an earlier file has 'real'"):
        load_study([a, b])


@pytest.mark.parametrize(("comparison", "says"), [
    ({"arms": ["two/mix"]}, "'two/mix' names no run of the study; write RUN/ARM, runs: one"),
    ({"arms": ["mix"]}, "'mix' names no run"),
    ({"arms": ["one/mixx"]}, "run one has no arm 'mixx'; it has real, real-half, mix, aux, far"),
    ({"arms": ["one/mix"], "tests": ["test"]}, "run one has no test 'test'; it has val"),
    ({"arms": ["one/mix"], "real": ["one/aux"]}, "one/aux under `real` is of kind auxbn"),
    ({"arms": ["one/mix"], "figure": "pie"}, "figure"),
    ({"arms": ["one/far"]}, "arm one/far waits for a larger scale than 1x"),
])  # fmt: skip
def test_a_comparison_that_cannot_be_meant_is_refused(tmp_path, comparison, says):
    with pytest.raises(UsageError, match=says) as caught:
        checked(
            written(tmp_path, comparison=comparison, one={"arms": ARMS | {"far": {"kind": "naive", "scale": "6x"}}})
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "says"), [
    ({"training": {"batch_size": 16}}, "batch_size: 8 -> 16"),
    ({"training": {"lr": 0.5}}, "lr: 0.1 -> 0.5"),
    ({"training": {"augmentation": {"flip": False}}}, "augmentation.flip: True -> False"),
    ({"training": {"steps": 20}}, "steps: 10 -> 20"),
    ({"seeds": [0, 2]}, r"seeds: \[0, 1\] -> \[0, 2\]"),
    ({"loader": {"window": 4}}, "window: 8 -> 4"),
    ({"real": {"per_class": 10}}, "differs in real.real.per_class: None -> 10"),
    ({"training": {"model": "resnet18"}}, "no real-only arm of its model"),
    ({"tests": {"val": {"split": "other"}}}, "tests.val.split: 'val' -> 'other'"),
    ({"tests": {"more": {"split": "more"}}}, "tests.more: None -> "),
])  # fmt: skip
def test_arms_that_cannot_be_compared_are_refused_with_the_difference(tmp_path, change, says):
    runs = {"one": {"arms": ARMS}, "two": {"arms": ARMS} | change}
    with pytest.raises(UsageError, match=says) as caught:
        checked(written(tmp_path, comparison={"arms": ["one/mix", "two/mix"], "real": ["one/real"]}, **runs))
    assert "comparison study" in str(caught.value) and "\n" not in str(caught.value)


def test_a_real_half_arm_has_half_the_steps_by_its_kind_alone(tmp_path):
    comparison = {"arms": ["one/mix"], "real": ["one/real", "one/real-half"]}
    checked(written(tmp_path, comparison=comparison))
    halved = ARMS | {"real-half": {"kind": "real-half", "settings": {"steps": 5}}}
    with pytest.raises(UsageError, match="steps: 10 -> 5"):
        checked(written(tmp_path, comparison=comparison, one={"arms": halved}))


def test_weights_of_the_synthetic_half_may_differ_they_are_what_is_compared(tmp_path):
    weighted = ARMS | {"light": {"kind": "naive", "scale": "1x", "settings": {"synthetic_weight": 0.2}}}
    checked(
        written(tmp_path, comparison={"arms": ["one/mix", "one/light"], "real": ["one/real"]}, one={"arms": weighted})
    )


def test_a_table_without_real_arms_keeps_the_rules_within_a_model(tmp_path):
    other = ARMS | {"fast": {"kind": "naive", "scale": "1x", "settings": {"lr": 0.5, "optimizer": "adamw"}}}
    with pytest.raises(UsageError, match=r"lr: 0\.1 -> 0\.5; optimizer: 'sgd' -> 'adamw'"):
        checked(written(tmp_path, comparison={"arms": ["one/mix", "one/fast"]}, one={"arms": other}))
    apart = ARMS | {
        "fast": {
            "kind": "naive",
            "scale": "1x",
            "settings": {"model": "convnext_atto", "lr": 0.5, "optimizer": "adamw"},
        }
    }
    checked(written(tmp_path, comparison={"arms": ["one/mix", "one/fast"]}, one={"arms": apart}))


def test_a_run_to_look_at_needs_an_arm_on_real_images_alone(tmp_path):
    file = written(tmp_path, one={"arms": {"mix": ARMS["mix"]}})
    file.write_text(file.read_text() + "diagnose: [one]\n")
    with pytest.raises(UsageError, match="diagnose: run one has no arm on real images alone"):
        load_study([file])


def test_no_file_and_a_base_that_is_a_list_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no study file is given"):
        load_study([])
    file = written(tmp_path)
    (tmp_path / "base.yaml").write_text("- a list")
    with pytest.raises(UsageError, match="the base of run one holds no mapping"):
        load_study([file])


def compared(key: str) -> dict:
    """A study's file whose one comparison has this key."""
    return {"comparisons": {"one": {"title": "t", key: []}}}


@pytest.mark.parametrize(("change", "says"), [
    ({"titel": "t"}, r"study\.yaml: unknown key titel; did you mean title\?"),
    ({"classes": []}, r"unknown key classes; a study has title, text, base, runs, comparisons, diagnose"),
    (compared("arm"), r"unknown key comparisons\.one\.arm; did you mean comparisons\.one\.arms\?"),
    (compared("x"), r"comparisons\.one\.x; a comparison has title, text, arms, real, differences"),
])  # fmt: skip
def test_an_unknown_key_is_reported_with_those_that_a_study_has(tmp_path, change, says):
    file = written(tmp_path)
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | change))
    with pytest.raises(UsageError, match=says):
        load_study([file])


def test_a_file_given_twice_is_told(tmp_path):
    file = written(tmp_path)
    with pytest.raises(UsageError, match=r"study\.yaml is given twice"):
        load_study([file, file])


def test_differences_need_the_same_real_images_and_settings(tmp_path):
    runs = {"one": {"arms": ARMS}, "two": {"arms": ARMS, "real": {"per_class": 3}}}
    with pytest.raises(UsageError, match=r"real images, real\.per_class: None -> 3"):
        checked(written(tmp_path, comparison={"differences": {"few": ["one/mix", "two/mix"]}}, **runs))


@pytest.mark.parametrize(
    "files", [["headline.yaml"], sorted(path.name for path in STUDIES.glob("*.yaml") if path.name != "base.yaml")]
)
def test_the_shipped_studies_can_be_compared(files):
    study = load_study([STUDIES / name for name in files])
    check_comparable(study)
    assert len(study.configs["headline"].seeds) >= 10


def test_the_shipped_studies_start_from_the_demo_but_for_what_a_study_varies():
    own, demo = load_study([STUDIES / "headline.yaml"]).configs["headline"], load_config("demo")
    varied = {"scale", "arms", "seeds", "oracle"}
    assert own.model_dump(exclude=varied) == demo.model_dump(exclude=varied)
