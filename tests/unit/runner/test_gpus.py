"""A run over several GPUs, faked by a list of names on a machine without one: each process is told its own.

Stages are fakes here that write which GPU they saw, and when.
"""

import io
import json
import os

import pytest
from rich.console import Console

from synaug.backends.devices import LocalDevices
from synaug.data.store import open_store
from synaug.errors import TransientError
from synaug.runner.display import Display
from synaug.runner.local_executor import run_locally
from synaug.runner.worker_pool import MALLOC, QUIET, THREAD_VARIABLES
from synaug.stages import plan as planning
from tests.planned import INFO, make_plan, put_real

FAKES = "tests.unit.fake_stages"


@pytest.fixture
def planned(tmp_path, monkeypatch, own_forkserver):
    for name in (*THREAD_VARIABLES, *MALLOC, *QUIET):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    store = open_store(str(tmp_path / "store"), create=True)
    put_real(store)
    make_plan(store, "scale=2x", "class_shards=2")
    return store


def run(store, gpus, *overrides, text=None):
    console = Console(file=text or io.StringIO(), width=200)
    devices = LocalDevices(len(gpus), gpus, "cpu")
    return run_locally(
        store.url, "first", overrides=list(overrides), display=Display(console), preload=FAKES, devices=devices
    )


def records(store) -> dict[str, dict]:
    return {key.removeprefix("done/").removesuffix(".json"): json.loads(store.get(key)) for key in store.list("done/")}


def overlap(some: dict, others: dict) -> bool:
    return some["began"] < others["ended"] and others["began"] < some["ended"]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_tasks_go_to_all_gpus_and_no_gpu_holds_two_at_once(planned, count):
    gpus = [f"GPU-{n}" for n in range(count)]
    outcome = run(planned, gpus)
    assert outcome.failures == [] and outcome.state.finished
    done = list(records(planned).values())
    seen = {record["gpus"] for record in done}
    assert seen <= set(gpus) and len(seen) >= min(count, 2)
    for n, record in enumerate(done):
        for other in done[n + 1 :]:
            assert record["gpus"] != other["gpus"] or not overlap(record, other)


def test_a_chain_of_a_training_gets_as_many_gpus_as_asked(planned):
    run(planned, ["a", "b", "c", "d"])
    assert {len(record["gpus"]) for record in records(planned).values()} == {1}
    for key in list(planned.list("runs/first/evaluate/")):
        planned.delete(key)
    assert run(planned, ["a", "b", "c", "d"], "compute.gpus_per_training=2").failures == []
    again = {name: record["gpus"] for name, record in records(planned).items() if name.startswith("evaluate")}
    assert again and set(again.values()) <= {"a,b", "c,d"}


def test_a_gpu_that_fails_is_named_and_left_out_and_its_task_done_elsewhere(planned, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_LOST_GPU", "b")
    with (tmp_path / "shown").open("w") as text:
        outcome = run(planned, ["a", "b"], text=text)
    assert outcome.failures == [] and outcome.state.finished
    assert list(outcome.lost_gpus) == ["b"] and "uncorrectable ECC" in outcome.lost_gpus["b"]
    assert {record["gpus"] for record in records(planned).values()} == {"a"}
    assert "GPU b is left out: its GPU failed (CUDA error: uncorrectable ECC" in (tmp_path / "shown").read_text()


def test_when_the_last_gpu_fails_the_run_ends_with_its_line(planned, monkeypatch):
    monkeypatch.setenv("FAKE_LOST_GPU", "a")
    outcome = run(planned, ["a"])
    assert outcome.failures and outcome.failures[0].code == 170 and "its GPU failed" in outcome.failures[0].line


def test_a_gpu_that_failed_is_in_no_set_of_a_training_either(planned, monkeypatch):
    monkeypatch.setenv("FAKE_LOST_GPU", "b")  # before the fork server starts, which has this environment
    run(planned, ["a"])
    for folder in ("synthetic", "evaluate"):  # images and evaluations again; the trainings stay done
        for key in list(planned.list(f"runs/first/{folder}/")):
            planned.delete(key)
    outcome = run(planned, ["a", "b", "c"], "compute.gpus_per_training=2")
    assert outcome.failures == [] and list(outcome.lost_gpus) == ["b"]
    assert {record["gpus"] for name, record in records(planned).items() if name.startswith("evaluate")} == {"a,c"}


def test_a_gpu_that_failed_and_leaves_too_few_for_a_training_is_named(planned, monkeypatch):
    monkeypatch.setenv("FAKE_LOST_GPU", "b")
    with pytest.raises(TransientError, match=r"its GPU failed: b; of the run's GPUs 1 are left, fewer"):
        run(planned, ["a", "b"], "compute.gpus_per_training=2")
