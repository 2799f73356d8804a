"""The end of a command's log in the store, whichever command it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from synaug.__main__ import main
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError, TransientError
from synaug.runner.log_tail import LogTail, log_tail_on_failure
from tests.images_run import images_job, write_plan

ROOT = Path(__file__).parents[3]
RUN_YAML = "classes: [{id: bag, names: [bag]}]\nimages: {profile: embedded}\n"
PLAN = ["plan", "--run", "second", "--config", "run.yaml"]
IMPORT = ["import", "photos", "--split", "dev"]
PREVIEW = ["preview", "--run", "first"]
COMMANDS = pytest.mark.parametrize(
    ("command", "log"),
    [
        (PLAN, layout.log("second", "plan", "all")),
        (IMPORT, layout.import_log("dev")),
        (PREVIEW, layout.log("first", "preview", "all")),
    ],
    ids=("plan", "import", "preview"),
)
HANGS = """
import sys, threading, types
from synaug import telemetry
from synaug.config import run
from synaug.data import importers
from synaug.stages import plan, prompts
def stands_still(*arguments):
    telemetry.progress()
    threading.Event().wait()
plan.make_plan = prompts.run = importers.read_folder = stands_still
if sys.argv[1] == "preview":  # loaded before the watch begins: a busy machine takes longer for it than the limit
    import synaug.runner.preview.benchmark, synaug.runner.worker_imports
if sys.argv[1] == "import":
    run.Compute = lambda: types.SimpleNamespace(stall_minutes=0.05)
from synaug.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A store where the run `first` is planned, beside run.yaml and photos/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(RUN_YAML)
    (tmp_path / "photos" / "bag").mkdir(parents=True)
    store = open_store(tmp_path / "store", create=True)
    write_plan(images_job(store))
    return store


@COMMANDS
def test_a_failure_leaves_its_line(site, capsys, command, log):
    """plan and import: there are no real images, in the store or in photos/."""
    given = ["--classes", "plane"] if command is PREVIEW else []
    assert main([*command, "--store", site.url, *given]) in (2, 3)
    line = capsys.readouterr().err.strip().splitlines()[-1].partition(": ")[2]
    assert site.get(log).decode().splitlines()[-1] == line


@COMMANDS
def test_a_command_that_stands_still_exits_170_with_its_stacks(site, command, log):
    quick = [] if command is IMPORT else ["compute.stall_minutes=0.05", "compute.workers=1"]
    ended = subprocess.run(
        [sys.executable, "-c", HANGS, *command, "--store", site.url, *quick],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 170, ended.stderr
    assert last.startswith(f"synaug {command[0]}: no progress for 0.05 minutes")
    stored = site.get(log).decode()
    assert "stands_still" in stored and stored.splitlines()[-1] == last.partition(": ")[2]


@pytest.mark.parametrize("command", [PLAN, IMPORT, PREVIEW], ids=lambda command: command[0])
def test_a_store_that_is_not_there_is_not_made_for_a_log(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(RUN_YAML)
    assert main([*command, "--store", str(tmp_path / "nowhere")]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def fail(store, error: Exception) -> str:
    with pytest.raises(type(error)), log_tail_on_failure(LogTail("train", store.url, "log")):
        raise error
    return store.get("log").decode()


def test_a_rank_that_lost_its_peers_does_not_write_over_the_cause(store, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert fail(store, TransientError("lost its peers")) == "lost its peers\n"
    assert fail(store, DataError("a tar is truncated")) == "a tar is truncated\n"
    assert fail(store, TransientError("lost its peers")) == "a tar is truncated\n"


def test_the_newest_attempt_of_any_other_stage_counts(store):
    fail(store, DataError("a tar is truncated"))
    assert fail(store, TransientError("the store is away")) == "the store is away\n"
