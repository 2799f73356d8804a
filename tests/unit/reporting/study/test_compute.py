"""A study's outcome, from evaluations with known figures in a real store."""

import hashlib
import json

import pytest
import torch
import yaml
from safetensors.torch import save

from synaug.config import arms
from synaug.data import layout
from synaug.errors import DataError
from synaug.reporting.study.compute import outcome, record_machine, shot_accuracies
from synaug.reporting.study.definition import load_study
from synaug.run.completion import Completion
from synaug.run.job import open_run
from synaug.run.results import Evaluation, TestResult
from synaug.stages import plan as planning
from tests.planned import CLASSES, INFO, put_manifests, put_real, split_digest

WEIGHTS = save({"fc.weight": torch.zeros(4, 3), "fc.bias": torch.zeros(4), "bn.running_mean": torch.zeros(3)})
REAL = [0.80, 0.82, 0.81, 0.79, 0.80]
BASE = {
    "classes": [{"id": name, "names": [name]} for name in CLASSES],
    "seeds": [0, 1, 2, 3, 4],
    "training": {"batch_size": 8, "steps": 10},
    "images": {"part_images": 20},
    "tests": {"val": {"split": "val"}, "ood": {"split": "ood", "domain": "out"}},
    "arms": {
        "real": {"kind": "real"},
        "real-half": {"kind": "real-half"},
        "mix": {"kind": "naive", "scale": "1x"},
        "aux": {"kind": "auxbn", "scale": "1x"},
    },
}
TOP1 = {  # by arm and test; mix is 5 points better in domain than real, on average, aux is equal to it
    "real": {"val": REAL, "ood": [0.1, 0.2, 0.1, 0.2, 0.1]},
    "real-half": {"val": [one - 0.02 for one in REAL], "ood": [0.3, 0.3, 0.4, 0.3, 0.4]},
    "mix": {"val": [0.84, 0.88, 0.86, 0.83, 0.86], "ood": [0.5, 0.6, 0.5, 0.6, 0.5]},
    "aux": {"val": REAL, "ood": [0.5, 0.6, 0.5, 0.6, 0.5]},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False))
    comparison = {
        "title": "t",
        "real": ["one/real", "one/real-half"],
        "arms": ["one/mix", "one/aux"],
        "differences": {"aux over mix": ["one/aux", "one/mix"]},
    }
    runs = {"one": {"prompts": {"senses": False}}}
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"title": "s", "base": "base.yaml", "runs": runs, "comparisons": {"c": comparison}})
    )
    return load_study([tmp_path / "s.yaml"])


@pytest.fixture
def finished(store, study):
    """Everything that a finished run leaves, its evaluations with the figures above."""
    put_real(store)
    config = study.configs["one"]
    plan, _ = planning.make_plan(store, "one", config)
    for class_id in CLASSES:
        store.put(layout.prompts("one", class_id), b"{}")
    put_manifests(store, plan, config, 1, "one")
    manifests = [key for key in store.list(layout.synthetic_folder("one")) if key.endswith(".json")]
    index = {"digest": plan.digest, "scale": 1, "min_clip_score": None, "rejects": {}, "lost": []}
    store.put(layout.index("one"), json.dumps(index | {"parts": [{"manifest": key} for key in manifests]}).encode())
    for arm, tests in TOP1.items():
        done = json.dumps(arms.resolve_arm(config, arm).frozen()).encode()
        for seed in config.seeds:
            store.put(layout.training("one", arm, seed, "done.json"), done)
            store.put(layout.training("one", arm, seed, "model.safetensors"), WEIGHTS)
            found = {
                test: TestResult(
                    split=test,
                    data=split_digest(store, test),
                    domain=config.tests[test].domain,
                    n=100,
                    top1=values[seed],
                    top5=1.0,
                    per_class={},
                    per_class_n={},
                )
                for test, values in tests.items()
            }
            one = Evaluation(
                arm=arm,
                seed=seed,
                kind=config.arms[arm].kind,
                scale=None,
                model="resnet50",
                trained=hashlib.sha256(done).hexdigest(),
                tests=found,
            )
            store.put(layout.evaluation("one", arm, seed), one.model_dump_json().encode())
    return store


def measured(store, study):
    return outcome(store, study)


def test_gains_are_paired_and_against_the_better_real_arm_of_each_test_set(finished, study):
    (table,) = measured(finished, study).tables
    rows = {row.arm: row for row in table.rows}
    val, ood = rows["one/mix"].gain["val"], rows["one/mix"].gain["ood"]
    assert (val.against, ood.against) == ("one/real", "one/real-half")
    assert (val.mean, ood.mean) == pytest.approx((0.05, 0.20))
    assert rows["one/mix"].parameters == 16
    assert val.shown and val.bootstrap[0] <= 0.05 <= val.bootstrap[1] and val.t[0] < 0.05 < val.t[1]
    assert rows["one/real"].gain == {} and rows["one/mix"].top1["val"].mean == pytest.approx(0.854)


def test_what_is_equal_at_every_seed_is_not_shown(finished, study):
    (table,) = measured(finished, study).tables
    aux = next(row for row in table.rows if row.arm == "one/aux")
    assert (aux.gain["val"].mean, aux.gain["val"].shown, aux.gain["val"].bootstrap) == (0.0, False, None)
    (difference,) = table.differences
    assert difference.tests["val"].mean == pytest.approx(-0.05) and difference.tests["val"].shown
    assert not difference.tests["ood"].shown


def test_what_tells_a_run_from_the_base_is_listed(finished, study):
    found = measured(finished, study)
    assert found.runs["one"].changed == {"prompts.senses": "false"}
    assert (found.runs["one"].real_images, found.runs["one"].synthetic_images) == (40, 40)
    assert found.tables[0].tests == {"val": "in", "ood": "out"}


def test_many_medium_and_few_shot_classes_are_apart_where_the_real_counts_differ(finished, study):
    results = Completion(finished, "one", study.configs["one"], open_run(finished, "one")[1]).results()
    for seed in range(5):
        results.evaluations["mix", seed].tests["val"].per_class.update(zip(CLASSES, (0.9, 0.6, 0.8, 0.1), strict=True))
    found = shot_accuracies(results, dict(zip(CLASSES, (30, 10, 10, 1), strict=True)), "mix", ["val"])["val"]
    assert {name: round(one.mean, 6) for name, one in found.items()} == {"many": 0.9, "medium": 0.7, "few": 0.1}
    assert shot_accuracies(results, dict.fromkeys(CLASSES, 10), "mix", ["val"]) == {}


def test_a_missing_run_is_named_with_the_command_that_makes_it(store, study):
    with pytest.raises(
        DataError, match=r"run one of the study is not in .*; `synaug study .*s\.yaml --store .* --only one` makes it"
    ):
        measured(store, study)


def test_an_unfinished_run_is_named_with_what_is_left(finished, study):
    finished.delete(layout.evaluation("one", "mix", 3))
    with pytest.raises(
        DataError, match=r"run one of the study is not finished \(evaluate\); `synaug study .* --only one` goes on"
    ):
        measured(finished, study)


def test_a_test_set_that_was_imported_again_between_two_evaluations_is_refused(finished, study):
    for seed in study.configs["one"].seeds:
        key = layout.evaluation("one", "mix", seed)
        one = json.loads(finished.get(key))
        one["tests"]["ood"]["data"] = "1"
        finished.put(key, json.dumps(one).encode())
    with pytest.raises(
        DataError, match=r"run one of the study is not finished \(evaluate\); `synaug study .* --only one` goes on"
    ):
        measured(finished, study)


def test_the_machines_are_those_that_made_the_runs_not_the_one_that_draws(finished, study, monkeypatch):
    assert measured(finished, study).machine == "not recorded"
    for name, torch_version in (("a machine", "1"), ("another", "2"), ("a machine", "1")):
        monkeypatch.setattr("synaug.run.environment.sentence", lambda name=name: name)
        monkeypatch.setattr(
            "synaug.run.environment.versions", lambda version=torch_version: {"torch": version, "cuda": None}
        )
        record_machine(finished, "one")
    found = measured(finished, study)
    assert (found.machine, found.versions) == ("a machine; another", {"torch": "1, 2"})


def test_a_run_to_look_at_without_findings_is_named_with_the_command(finished, study):
    study.parts[0].diagnose.append("one")
    with pytest.raises(
        DataError, match=r"run one was not looked at .*; `synaug diagnose --store .* --run one` does it"
    ):
        measured(finished, study)


def test_images_that_were_made_otherwise_are_refused(finished, study):
    other = study.configs["one"].model_copy(update={"seed": 7})
    study.configs["one"] = other
    with pytest.raises(DataError, match="made otherwise than the study asks: seed 0 -> 7"):
        measured(finished, study)
