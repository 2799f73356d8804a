"""The table of stages: what goes by it, and that a row and a module are all that a stage needs."""

import importlib
import io
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from synaug.__main__ import main, overview
from synaug.cli.status import as_dict, table
from synaug.data import layout
from synaug.data.store import open_store
from synaug.reporting.plan_text import plan_text
from synaug.run import completion, stages
from synaug.run.forecast import read_forecast
from synaug.run.job import open_run
from synaug.run.rates import pace_digest
from synaug.run.stages import STAGES, Proof, Scope, Task, Training, flow
from synaug.run.status import read_state
from synaug.runner.display import Display
from synaug.runner.local_executor import run_locally
from synaug.runner.worker_pool import MALLOC, QUIET, THREAD_VARIABLES
from synaug.stages import plan as planning
from tests.planned import INFO, configuration, make_plan, put_real
from tests.unit import toy_stage

ROOT = Path(__file__).parents[3]


def test_the_table_imports_nothing_but_the_standard_library():
    text = Path(stages.__file__).read_text()
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported and imported <= sys.stdlib_module_names


@pytest.mark.parametrize("name", STAGES)
def test_every_row_has_its_module_and_follows_a_row_before_it(name):
    module = importlib.import_module(f"synaug.stages.{name}")
    assert callable(module.run) and module.HELP and module.EPILOG
    before = list(STAGES)[: list(STAGES).index(name)]
    assert STAGES[name].follows in (before or [None])
    assert STAGES[name].renewed_by in (None, *before)


def test_every_stage_that_has_a_module_is_in_the_table():
    modules = {path.stem for path in (ROOT / "synaug" / "stages").glob("*.py")}
    assert modules - {"__init__", "plan"} == set(STAGES)


def test_the_charts_pods_are_those_of_the_table():
    """Beside them: the plan, people's commands, the trainings' workers, and the pods that no run waits for."""
    pods = list(yaml.safe_load((ROOT / "helm/synaug/values.yaml").read_text())["pods"])
    others = {"default", "plan", "import", "preview", "worker", "finish", "fetch", "test"}
    assert [pod for pod in pods if pod not in others] == list(STAGES)


def test_chains_go_on_within_a_scope_and_a_group_waits_for_the_one_before():
    groups = flow(2, [Training("real", 0), Training("naive", 0)])
    assert [[[task.name for task in chain] for chain in group] for group in groups] == [
        [["prompts-000", "images-000"], ["prompts-001", "images-001"]],
        [["index"]],
        [["train-real-0", "evaluate-real-0"], ["train-naive-0", "evaluate-naive-0"]],
        [["report"]],
    ]


@pytest.fixture
def toy(tmp_path, monkeypatch, own_forkserver):
    """A planned run of two class shards where the table has a row more."""
    for name in (*THREAD_VARIABLES, *MALLOC, *QUIET):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    monkeypatch.setitem(sys.modules, "synaug.stages.toy", toy_stage)
    rows, before = toy_stage.table(), dict(STAGES)
    STAGES.clear()
    STAGES.update(rows)
    store = open_store(str(tmp_path / "store"), create=True)
    put_real(store)
    make_plan(store, "scale=2x", "compute.workers=2")
    yield store
    STAGES.clear()
    STAGES.update(before)


def run(store):
    display = Display(Console(file=io.StringIO()))
    return run_locally(store.url, "first", overrides=[], display=display, preload="tests.unit.fake_and_toy_stages")


def shown(store) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(read_state(store, "first", *open_run(store, "first"))))
    return console.export_text()


def test_a_new_stage_is_planned_run_and_shown_by_its_row_and_its_module_alone(toy):
    config, plan = open_run(toy, "first")
    assert "toy unmeasured" in plan_text("first", config, plan, [])
    assert "toy" in plan.estimate.whole.unmeasured
    assert "  toy       look at the images of a class shard" in overview()
    assert "0/2 toys" in shown(toy)
    outcome = run(toy)
    assert outcome.failures == [] and outcome.state.finished
    records = {key: json.loads(toy.get(key)) for key in toy.list("done/")}
    for shard in (0, 1):
        assert records[f"done/images-{shard}.json"]["ended"] <= records[f"done/toy-{shard}.json"]["began"]
        assert records[f"done/toy-{shard}.json"]["ended"] <= records["done/index-None-None.json"]["began"]
    assert "2/2 toys" in shown(toy)
    toy_state = as_dict(outcome.state)["stages"]["toy"]
    assert (toy_state["unit"], toy_state["done"], toy_state["total"], toy_state["left"]) == ("toy", 2, 2, 0)
    assert run(toy).clock.seconds == {}


def test_a_stage_without_a_proof_of_its_own_is_done_again_when_the_run_grows(toy):
    run(toy)
    make_plan(toy, "scale=3x", "compute.workers=2")
    state = read_state(toy, "first", *open_run(toy, "first"))
    assert (state.stages["prompts"].left, state.stages["toy"].left) == (0, 2)


def test_a_new_stage_is_unmeasured_until_its_rate_is_there(toy):
    config, plan = open_run(toy, "first")
    assert read_forecast(toy, "first", config, plan).seconds["toy"] is None
    measured = {
        "machine": {"device": "cpu", "workers": 2, "start": 1.0, "images_load": 0.0},
        "toy": {"of": pace_digest(STAGES["toy"], config, plan, plan.pool), "pace": {"load": 1.0, "each": 2.0}},
    }
    for name, value in measured.items():
        toy.put(layout.timing("first", "preview", name), json.dumps(value).encode())
    assert read_forecast(toy, "first", config, plan).seconds["toy"] == pytest.approx(2 * 3.0)
    other = configuration("scale=2x", "compute.workers=3")
    assert read_forecast(toy, "first", other, plan).seconds["toy"] is None


def test_the_command_line_takes_what_the_scope_of_a_new_stage_needs(toy, capsys):
    assert main(["toy", "--store", toy.url, "--run", "first", "--shard", "1"]) == 0
    assert toy.exists(layout.completion("first", "toy", "001"))
    assert main(["toy", "--store", toy.url, "--run", "first"]) == 2
    assert "--shard" in capsys.readouterr().err
    assert read_state(toy, "first", *open_run(toy, "first")).stages["toy"].done == 1


@pytest.mark.parametrize("scope", Scope)
def test_a_completion_record_is_of_what_its_task_is_made_of(toy, scope):
    _, plan = open_run(toy, "first")
    task = {
        Scope.SHARD: Task(stage="toy", shard=0),
        Scope.TRAINING: Task(stage="toy", arm="real", seed=0),
        Scope.RUN: Task(stage="toy"),
    }[scope]

    def record(*overrides: str) -> bytes:
        changed = configuration("scale=2x", *overrides)
        return completion.Completion(toy, "first", changed, plan).record(task)

    assert (record("training.lr=0.5") == record()) == (scope is Scope.SHARD)
    assert (record("seeds=[0, 1, 2]") == record()) == (scope is not Scope.RUN)
    assert record("compute.price=3") == record()


def test_every_proof_is_looked_for(toy):
    looked_for = {STAGES[name].proof for name in STAGES}
    assert looked_for == set(Proof)
    config, plan = open_run(toy, "first")
    for name in STAGES:
        task = stages.tasks(STAGES[name], 2, [Training("real", 0)])[0]
        assert completion.Completion(toy, "first", config, plan).count(task).done == 0
