"""The command line as a pod sees it: signals, suggestions, and what a terminal gets."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synaug.__main__ import main
from synaug.data import layout
from synaug.data.store import open_store
from synaug.stages import plan as planning
from tests.planned import INFO, make_plan, put_real

ROOT = Path(__file__).parents[2]
STAGE = "import sys, tests.unit.fake_stages; from synaug.__main__ import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    store = open_store(str(tmp_path / "store"), create=True)
    put_real(store)
    make_plan(store)
    return store


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_ends_promptly_at_a_signal(planned, sent, code):
    planned.put("hang", b"")
    command = [sys.executable, "-c", STAGE, "index", "--store", planned.url, "--run", "first"]
    stage = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert stage.stderr.readline() == "index: 0/1 parts\n"
    stage.send_signal(sent)
    _, errors = stage.communicate(timeout=20)
    assert stage.returncode == code
    assert errors == ("synaug index: interrupted; run it again to go on\n" if code == 130 else "")
    assert not planned.exists(layout.index("first"))


def test_a_failed_stage_leaves_the_end_of_its_log_in_the_store(planned):
    planned.put("fail", b"")
    command = [sys.executable, "-c", STAGE, "images", "--store", planned.url, "--run", "first", "--shard", "1"]
    stage = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (stage.returncode, stage.stderr) == (3, "synaug images: shard 1 is broken\n")
    assert planned.get(layout.log("first", "images", "001")).decode() == "shard 1 is broken\n"


def test_a_reader_that_closes_early_is_no_error(planned):
    command = f"{sys.executable} -m synaug config | head -n 1"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout == "seed = 0\n"
    assert done.stderr == ""


def test_a_run_that_costs_more_than_its_limit_asks(planned, capsys, tmp_path):
    (tmp_path / "run.yaml").write_text(
        "classes: [{id: bag, names: [bag]}]\nclass_shards: 1\ncompute: {rate: 0.001, price: 100}\nlimits: {cost: 1}\n"
    )
    command = ["run", "--config", str(tmp_path / "run.yaml"), "--store", planned.url, "--run", "dear"]
    assert main(command) == 2
    line = (
        "synaug run: the run would cost at least 277.78 (prompts: unmeasured, `synaug preview` measures), "
        "more than limits.cost 1.00; --yes spends it, or raise the limit"
    )
    assert capsys.readouterr().err.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("given", "why"),
    [("rate: 1", "compute.price is not given"), ("price: 2", r"\(prompts, images: unmeasured, .*preview")],
)
def test_a_limit_that_cannot_be_checked_asks(planned, capsys, tmp_path, given, why):
    (tmp_path / "run.yaml").write_text(
        f"classes: [{{id: bag, names: [bag]}}]\ncompute: {{{given}}}\nlimits: {{cost: 1}}\n"
    )
    assert main(["run", "--config", str(tmp_path / "run.yaml"), "--store", planned.url, "--run", "dear"]) == 2
    assert re.search(rf"the cost is unknown.*{why}.*, and limits.cost is 1.00; --yes", capsys.readouterr().err)


def test_a_planned_run_is_held_to_its_limit_too(planned, capsys):
    given = ["limits.cost=1", "compute.price=1000", "compute.rate=0.001"]
    assert main(["run", "--store", planned.url, "--run", "first", *given]) == 2
    assert "more than limits.cost 1.00" in capsys.readouterr().err


def test_the_store_can_come_from_the_environment(planned, capsys, monkeypatch):
    monkeypatch.setenv("SYNAUG_STORE", planned.url)
    assert main(["status", "--run", "first"]) == 0
    assert "prompts" in capsys.readouterr().out
    monkeypatch.delenv("SYNAUG_STORE")
    assert main(["status", "--run", "first"]) == 2
