"""What stages leave for the workflow that started them."""

import json

import pytest

from synaug.__main__ import main
from synaug.config import arms
from synaug.data import layout
from synaug.reporting.plan_text import plan_text
from synaug.run import outputs
from synaug.run.job import open_run
from synaug.run.status import read_state
from synaug.stages import plan as planning
from tests.planned import CLASSES, INFO, make_plan, put_evaluation, put_manifests, put_real


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(outputs.FOLDER, str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@pytest.fixture
def planned(store):
    put_real(store)
    make_plan(store, "class_shards=2", "arms={real: {kind: real}, late: {kind: naive, scale: 2x}}")
    return store


def written(store, folder, run: str = "first") -> dict:
    config, plan = open_run(store, run)
    outputs.write_plan(run, config, plan, read_state(store, run, config, plan), plan_text(run, config, plan, []))
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


def test_a_new_plan_lists_all_shards_and_the_arms_of_its_scale(planned, folder):
    made = written(planned, folder)
    assert made["shards"] == ["000", "001"]
    assert made["trainings"] == made["evaluations"] == [{"arm": "real", "seed": "0"}, {"arm": "real", "seed": "1"}]


def test_a_shard_is_left_for_a_missing_part_or_a_missing_prompts_file(planned, folder):
    config, plan = open_run(planned, "first")
    for class_id in CLASSES:
        planned.put(layout.prompts("first", class_id), b"{}")
    put_manifests(planned, plan, config, 1)
    assert written(planned, folder)["shards"] == []
    planned.delete(layout.prompts("first", plan.class_shards[1][0]))
    assert written(planned, folder)["shards"] == ["001"]
    planned.delete(layout.synthetic_manifest("first", 1, 0, 0))
    assert written(planned, folder)["shards"] == ["000", "001"]


def test_an_arm_to_be_trained_again_is_to_be_evaluated_too(planned, folder):
    config, _ = open_run(planned, "first")
    done = json.dumps(arms.resolve_arm(config, "real").frozen()).encode()
    for seed in (0, 1):
        planned.put(layout.training("first", "real", seed, "done.json"), done)
        put_evaluation(planned, config, "real", seed)
    made = written(planned, folder)
    assert made["trainings"] == made["evaluations"] == []
    planned.delete(layout.training("first", "real", 1, "done.json"))
    made = written(planned, folder)
    assert made["trainings"] == made["evaluations"] == [{"arm": "real", "seed": "1"}]


def test_the_estimate_says_seconds_limit_and_what_is_done(planned, folder):
    made = written(planned, folder)["estimate"]
    assert (made["images"], made["images_left"], made["seconds"], made["limit_cost"]) == (40, 40, None, None)
    assert made["stages"]["images"] == {"done": 0, "total": 40, "unit": "image", "tasks": 2}
    assert made["text"].startswith("run ") and len(made["digest"]) == 64


def test_nothing_is_written_without_the_variable(planned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(outputs.FOLDER, raising=False)
    outputs.write("summary", lambda: pytest.fail("nobody asked"))


def test_the_line_of_a_failure_goes_where_kubernetes_reads_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(outputs.TERMINATION, str(tmp_path / "log"))
    assert main(["images", "--store", str(tmp_path), "--run", "none", "--shard", "0"]) == 3
    line = (tmp_path / "log").read_text()
    assert line in capsys.readouterr().err and "run 'none' is not planned" in line and "\n" not in line


def test_a_very_long_line_is_cut_to_what_the_kubelet_keeps(tmp_path, monkeypatch):
    monkeypatch.setenv(outputs.TERMINATION, str(tmp_path / "log"))
    outputs.leave_line("é" * 5000)
    assert len((tmp_path / "log").read_bytes()) <= 4096


def test_the_text_names_the_stages_that_nobody_measured(planned, folder):
    rows = {line[:13].strip(): line for line in written(planned, folder)["estimate"]["text"].splitlines()}
    assert rows["work left"].endswith("prompts unmeasured, images unmeasured, train unmeasured, evaluate unmeasured")
    assert rows["GPU time"].endswith("unmeasured: prompts, images, train, evaluate (`synaug preview` measures)")
    assert rows["cost"].endswith("give compute.price for an estimate")
