"""The local runner: order, what is skipped, failures, and how it ends.

Stages are fakes here; the real ones run in tests/local.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from synaug.data import layout
from synaug.data.manifest import RealSplit
from synaug.data.store import open_store
from synaug.run.job import open_run
from synaug.run.stages import Task
from synaug.run.status import read_state
from synaug.runner.display import Display
from synaug.runner.local_executor import Failure, run_locally
from synaug.runner.worker_pool import MALLOC, QUIET, THREAD_VARIABLES
from synaug.stages import plan as planning
from tests.planned import CLASSES, INFO, make_plan, put_real
from tests.unit.runner.test_worker_pool import await_end

ROOT = Path(__file__).parents[3]
FAKES = "tests.unit.fake_stages"


@pytest.fixture
def planned(tmp_path, monkeypatch, own_forkserver):
    for name in (*THREAD_VARIABLES, *MALLOC, *QUIET):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    store = open_store(str(tmp_path / "store"), create=True)
    put_real(store)
    make_plan(store, "scale=2x", "compute.workers=2")
    return store


def run(store):
    return run_locally(
        store.url, "first", overrides=[], display=Display(Console(file=open(os.devnull, "w"))), preload=FAKES
    )


def records(store) -> dict[str, dict]:
    return {key.removeprefix("done/").removesuffix(".json"): json.loads(store.get(key)) for key in store.list("done/")}


def test_a_run_is_done_in_order_and_then_there_is_nothing_to_do(planned):
    outcome = run(planned)
    assert outcome.failures == []
    assert outcome.state.finished
    done = records(planned)
    assert len(done) == 2 + 2 + 1 + 6 + 6 + 1
    assert all(record["preloaded"] for record in done.values())
    assert done["prompts-0"]["ended"] <= done["images-0"]["began"]
    images = max(done[f"images-{n}"]["ended"] for n in range(2))
    assert images <= done["index-None-None"]["began"]
    assert done["train-real-0"]["ended"] <= done["evaluate-real-0"]["began"]
    assert (
        max(record["ended"] for name, record in done.items() if name.startswith("evaluate"))
        <= done["report-None-None"]["began"]
    )
    assert set(outcome.clock.seconds) == {"prompts", "images", "index", "train", "evaluate", "report"}
    again = run(planned)
    assert again.clock.seconds == {}
    assert records(planned) == done


def test_a_failed_task_lets_the_others_finish_and_a_rerun_goes_on(planned):
    planned.put("fail", b"")
    outcome = run(planned)
    assert outcome.failures == [Failure(Task(stage="images", shard=1), 3, "shard 1 is broken")]
    assert {"images-0", "prompts-1"} <= set(records(planned))
    assert not any(name.startswith(("index", "train")) for name in records(planned))
    assert planned.get(layout.log("first", "images", "001")).decode() == "a library's last words\nshard 1 is broken\n"
    planned.delete("fail")
    before = records(planned)
    assert run(planned).state.finished
    assert records(planned)["images-0"] == before["images-0"]


def put_test_set(store, split: str, source: str) -> None:
    listed = RealSplit(classes=list(CLASSES), tars=1, samples=1, per_label={0: 1}, source=source)
    store.put(layout.real_split(split), listed.model_dump_json().encode())


def test_a_test_set_that_is_imported_again_under_its_name_is_measured_again_and_nothing_else_done(planned):
    config, plan = open_run(planned, "first")
    split = next(iter(config.tests.values())).split
    put_test_set(planned, split, "one")
    assert run(planned).state.finished
    before = records(planned)
    planned.delete(layout.real_split(split))
    stages = read_state(planned, "first", config, plan).stages
    assert {name: stage.done for name, stage in stages.items() if stage.left} == {"evaluate": 0, "report": 0}
    put_test_set(planned, split, "another")
    stages = read_state(planned, "first", config, plan).stages
    assert {name: stage.done for name, stage in stages.items() if stage.left} == {"evaluate": 0, "report": 0}
    outcome = run(planned)
    assert outcome.state.finished and set(outcome.clock.seconds) == {"evaluate", "report"}
    assert [name for name in before if records(planned)[name] == before[name] and "evaluate" in name] == []


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_is_left_running_when_the_runner_ends(planned, ending, code):
    planned.put("hang", b"")
    script = (
        "import sys; import synaug.runner.local_executor as local\n"
        f"from functools import partial; local.run_locally = partial(local.run_locally, preload={FAKES!r})\n"
        "from synaug.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "run", "--store", planned.url, "--run", "first"]
    # a terminal sends Ctrl-C to the whole process group
    runner = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    hanging = set()
    while len(hanging) < 2:
        line = runner.stderr.readline()
        assert line, "the runner ended early"
        hanging |= {line.split(":")[0]} if "1/2 images" in line else set()
    pids = [int(planned.get(f"pid-{n}")) for n in range(2)]
    if ending == signal.SIGINT:
        os.killpg(runner.pid, ending)
    else:
        runner.send_signal(ending)
    _, errors = runner.communicate(timeout=30)
    assert runner.returncode == code
    assert all(await_end(pid) for pid in pids)
    lines = [line for line in errors.splitlines() if not line.endswith(("begun", "done"))]
    assert lines == {130: ["synaug run: interrupted; run it again to go on"]}.get(code, [])
    planned.delete("hang")
    assert run(planned).state.finished
