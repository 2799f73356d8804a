"""The progress of a run is read from what lies in the store."""

import json

import pytest

from synaug.cli.status import as_dict
from synaug.data import layout
from synaug.run.job import open_run
from synaug.run.stages import Task
from synaug.run.status import read_state
from synaug.stages import plan as planning
from tests.planned import CLASSES, INFO, configuration, make_plan, put_evaluation, put_manifests, put_real


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])


@pytest.fixture
def planned(store):
    put_real(store)
    make_plan(store, "scale=2x", "arms.real-half={kind: real-half}")
    return store


def state(store):
    return read_state(store, "first", *open_run(store, "first"))


def put_json(store, key: str, value: dict) -> None:
    store.put(key, json.dumps(value).encode())


def test_nothing_is_done_at_first(planned):
    stages = state(planned).stages
    assert {name: (stage.done, stage.total) for name, stage in stages.items()} == {
        "prompts": (0, 4),
        "images": (0, 80),
        "index": (0, 1),
        "train": (0, 2 * (3 * 500 + 250)),
        "evaluate": (0, 8),
        "report": (0, 1),
    }
    assert all(stage.rate is None and stage.seconds_left() is None for stage in stages.values())


def test_prompts_images_and_rejects_are_counted(planned):
    config, plan = open_run(planned, "first")
    planned.put(layout.prompts("first", CLASSES[0]), b"{}")
    put_manifests(planned, plan, config, 1, rejects=2)
    stages = state(planned).stages
    assert (stages["prompts"].done, stages["prompts"].left) == (1, 3)
    assert (stages["images"].done, stages["images"].left, stages["images"].rejected) == (40, 40, 4)


def test_an_index_stands_for_its_scale_and_filter(planned):
    config, plan = open_run(planned, "first")
    for multiple in (1, 2):
        put_manifests(planned, plan, config, multiple)
    parts = [{"manifest": key} for key in planned.list(layout.synthetic_folder("first")) if key.endswith(".json")]
    index = {
        "digest": plan.digest,
        "scale": 2,
        "min_clip_score": None,
        "parts": parts,
        "rejects": {"black": 3},
        "lost": ["x"],
    }
    put_json(planned, layout.index("first"), index)
    assert state(planned).stages["index"].left == 0
    assert (state(planned).stages["images"].rejected, state(planned).stages["images"].lost) == (3, 1)
    for outdated in ({"scale": 1}, {"min_clip_score": 0.2}, {"parts": parts[1:]}):
        put_json(planned, layout.index("first"), index | outdated)
        assert state(planned).stages["index"].left == 1, outdated


def test_rates_come_from_what_the_stages_timed(planned):
    put_json(planned, layout.timing("first", "images", "000"), {"seconds": 10, "images": 20})
    put_json(planned, layout.timing("first", "images", "001"), {"seconds": 10, "images": 60})
    images = state(planned).stages["images"]
    assert images.rate == 4.0
    assert (images.seconds_left(1), images.seconds_left(2), images.seconds_left(64)) == (20.0, 10.0, 10.0)


def test_a_new_test_set_asks_for_evaluation_again(planned):
    config, _ = open_run(planned, "first")
    put_evaluated(planned, config)
    assert state(planned).stages["evaluate"].done == 1
    make_plan(planned, "scale=2x", "tests.new={split: val}")
    assert state(planned).stages["evaluate"].done == 0


def put_evaluated(store, config) -> None:
    """Arm real, seed 0."""
    key = layout.training("first", "real", 0, "done.json")
    put_json(store, key, {"seconds": 1})
    put_evaluation(store, config, "real", 0)


def test_a_training_that_was_repeated_asks_for_evaluation_again(planned):
    config, _ = open_run(planned, "first")
    put_evaluated(planned, config)
    put_json(planned, layout.training("first", "real", 0, "done.json"), {"seconds": 2})
    assert state(planned).stages["evaluate"].done == 0


def test_a_test_set_of_another_domain_asks_for_evaluation_again(planned):
    config, _ = open_run(planned, "first")
    put_evaluated(planned, config)
    make_plan(planned, "scale=2x", "tests.noise.domain=in")
    assert state(planned).stages["evaluate"].done == 0


def test_arms_beyond_the_scale_wait(planned):
    make_plan(planned, "scale=1x")
    config, plan = open_run(planned, "first")
    trained = {task.arm for group in plan.flow(config) for chain in group for task in chain if task.stage == "train"}
    assert trained == {"real"}
    assert {task.task.arm for task in state(planned).stages["train"].tasks} == {"real"}


def test_the_flow_chains_each_shard_and_each_training(planned):
    config, plan = open_run(planned, "first")
    groups = plan.flow(config)
    assert [[task.arguments for task in chain] for chain in groups[0]] == [
        ["prompts --shard 0", "images --shard 0"], ["prompts --shard 1", "images --shard 1"],
    ]  # fmt: skip
    assert groups[1] == [[Task(stage="index")]]
    assert [task.arguments for task in groups[2][0]] == ["train --arm real --seed 0", "evaluate --arm real --seed 0"]
    assert len(groups[2]) == 8


def test_status_as_json_is_plain(planned):
    shown = json.loads(json.dumps(as_dict(state(planned))))
    assert shown["stages"]["images"] == {
        "unit": "image",
        "done": 0,
        "total": 80,
        "left": 80,
        "rejected": 0,
        "lost": 0,
        "rate": None,
        "seconds": 0,
        "seconds_left": None,
    }
    assert configuration().seeds == [0, 1]
