"""`synaug train --nproc-per-node N`: real torchrun, gloo on the CPU, real kills."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synaug.config.load import dump_config
from synaug.data import layout
from synaug.runner import torchrun
from synaug.runner.torchrun import RankError
from tests.unit.training import helpers
from tests.weed import free_ports

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
LONG = {"steps": 100_000}


def planned(store, **training):
    store.put(layout.run_yaml("r"), dump_config(helpers.config(**training)).encode())
    store.put(layout.plan("r"), helpers.plan(32).model_dump_json().encode())
    return store


def started(store, *more: str, processes: int = 2, stderr=subprocess.PIPE, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "synaug", "train", "--nproc-per-node", str(processes)]
    command += ["--store", store.url, "--run", "r", "--arm", "auxbn", "--seed", "0", *more]
    return subprocess.Popen(command, env=ENVIRONMENT | environment, cwd=ROOT, stderr=stderr, text=True)


def ranks_of(agent: int) -> list[int]:
    """Processes that torchrun started, in the order of their ranks."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    found = {}
    for child in children:
        values = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        rank = next((int(value[11:]) for value in values if value.startswith(b"LOCAL_RANK=")), None)
        if rank is not None:
            found[rank] = int(child)
    return [found[rank] for rank in sorted(found)]


def training(stderr) -> None:
    """Until a step was reported."""
    for line in stderr:
        if "steps" in line:
            return
    pytest.fail("it ended before a step")


def test_two_ranks_train_and_a_second_call_ends_at_once_without_a_rendezvous(disk):
    log = layout.log("r", "train", "auxbn-0")
    disk.put(log, b"of an attempt before")
    first = started(planned(disk))
    assert first.wait(120) == 0, first.stderr.read()
    assert not disk.exists(log)
    assert json.loads(disk.get(layout.training("r", "auxbn", 0, "done.json")))["ranks"] == 2
    nowhere = {"PET_NNODES": "2", "PET_RDZV_BACKEND": "c10d", "PET_RDZV_ENDPOINT": f"127.0.0.1:{free_ports(1)[0]}"}
    assert started(disk, **nowhere).wait(60) == 0


def test_a_worker_s_own_code_and_line_come_through(disk):
    planned(disk)
    disk.delete(layout.real_split("train"))
    process = started(disk)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 3, text
    assert "'train'" in text.strip().splitlines()[-1] and text.strip().splitlines()[-1].startswith("synaug train: ")


def test_a_killed_rank_is_170_and_says_so(disk):
    process = started(planned(disk, **LONG))
    training(process.stderr)
    os.kill(ranks_of(process.pid)[1], signal.SIGKILL)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 170, text
    assert "rank 1 was killed by SIGKILL; run again" in text.strip().splitlines()[-1]


def test_sigterm_ends_every_rank_and_exits_143(disk):
    process = started(planned(disk, **LONG))
    training(process.stderr)
    ranks = ranks_of(process.pid)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_machine_that_is_gone_is_170_for_the_other(disk, victim):
    """Machine 0 holds the rendezvous."""
    place = {
        "PET_NNODES": "2",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": f"127.0.0.1:{free_ports(1)[0]}",
        "PET_RDZV_ID": "t",
    }
    planned(disk, **LONG)
    read, write = os.pipe()
    machines = [
        started(disk, processes=1, stderr=write, **place, PET_RDZV_CONF=f"is_host={int(n == 0)}") for n in range(2)
    ]
    os.close(write)
    with open(read) as lines:
        training(lines)  # of the machine that has the first rank, whichever it is
        for pid in [*ranks_of(machines[victim].pid), machines[victim].pid]:
            os.kill(pid, signal.SIGKILL)
        last = lines.read().strip().splitlines()[-1]
    assert machines[1 - victim].wait(60) == 170 and machines[victim].wait(60) == -9
    assert last.startswith("synaug train: ") and "run again" in last


def test_a_permanent_error_outweighs_the_lost_peers_that_it_causes():
    errors = {0: RankError(170, "lost its peers"), 1: RankError(4, "no such model")}
    failure = torchrun.explain_failure({0: 170, 1: 4}, errors, out_of_memory=False)
    assert (failure.exit_code, str(failure)) == (4, "no such model")


def test_a_rank_that_the_kernel_killed_for_memory_is_137(tmp_path):
    events = tmp_path / "memory.events"
    events.write_text("low 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 0\n")
    assert (torchrun.out_of_memory_kills(events), torchrun.out_of_memory_kills(tmp_path / "none")) == (2, 0)
    assert torchrun.explain_failure({0: -9}, {}, out_of_memory=True).exit_code == 137
    assert torchrun.explain_failure({0: -9}, {}, out_of_memory=False).exit_code == 170
    assert torchrun.explain_failure({0: -6}, {}, out_of_memory=False).exit_code == 170
    assert torchrun.explain_failure({1: -11}, {0: RankError(170, "lost")}, out_of_memory=False).exit_code == 139
