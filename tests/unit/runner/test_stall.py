"""A stage that stands still ends with 170, and leaves what it was doing."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from synaug import telemetry
from synaug.data import layout
from synaug.data.store import open_store
from synaug.runner import stall
from tests.images_run import images_job, write_plan

ROOT = Path(__file__).parents[3]
HANGS = """
import sys, threading
from synaug.stages import images
from synaug.run.job import Progress
def stands_still(job):
    job.report(Progress("images", "images-000", 1, 2, "image"))
    threading.Event().wait()
images.run = stands_still
from synaug.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Stalled(threading.Event):
    """Set by the watch, which tells its limit."""

    def __call__(self, minutes):
        self.set()


@pytest.fixture
def stalled():
    return Stalled()


def test_a_stage_that_stands_still_exits_170_with_its_stacks(tmp_path):
    store = open_store(tmp_path / "store", create=True)
    write_plan(images_job(store))
    command = [
        sys.executable,
        "-c",
        HANGS,
        "images",
        "--store",
        store.url,
        "--run",
        "first",
        "--shard",
        "0",
        "compute.stall_minutes=0.005",
    ]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={"SYNAUG_TERMINATION_LOG": str(tmp_path / "line")},
    )
    log = store.get(layout.log("first", "images", "000")).decode()
    line = "no progress for 0.005 minutes (compute.stall_minutes)"
    assert ended.returncode == 170
    assert ended.stderr.strip().splitlines()[-1].startswith(f"synaug images: {line}")
    assert (tmp_path / "line").read_text().startswith(line)
    assert "stands_still" in log and log.splitlines()[-1].startswith(line) and "stands_still" in ended.stderr


def test_signs_of_life_keep_it_going(stalled):
    with stall.watch(0.2 / 60, stalled):
        telemetry.progress()
        for _ in range(10):
            time.sleep(0.05)  # the time that passes is what is tested
            telemetry.beat()
        assert not stalled.is_set()
        assert stalled.wait(10)


def test_until_its_first_result_it_has_longer(stalled):
    with stall.watch(0.2 / 60, stalled):
        assert not stalled.wait(0.5)
        assert stalled.wait(10)


def test_null_is_never_and_an_ended_stage_is_not_watched(stalled):
    with stall.watch(None, stalled):
        pass
    with stall.watch(0.05 / 60, stalled):
        telemetry.progress()
    assert not stalled.wait(0.3)


def test_what_a_store_does_is_a_sign_of_life(store):
    before = telemetry.Pulse.last
    store.put("x", b"1")
    written = telemetry.Pulse.last
    store.get("x")
    assert before < written < telemetry.Pulse.last
