"""Several ranks by torchrun, gloo on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from synaug.config.load import dump_config
from synaug.data import layout
from synaug.errors import TransientError, UsageError
from synaug.training import checkpoint, distributed, loop
from tests.unit.training import helpers
from tests.weed import free_ports

ROOT = Path(__file__).parents[3]
RANK = str(Path(__file__).with_name("rank.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def torchrun(*arguments: str, processes: int = 2) -> subprocess.CompletedProcess:
    port = free_ports(1)[0]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        "--master-port",
        str(port),
        *arguments,
    ]
    return subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, timeout=180)


def test_torchrun_with_two_ranks_continues_what_one_began(disk, monkeypatch):
    """`torchrun -m -- synaug train`: torchrun has a --run-path of its own, so that --run must come after the `--`."""
    monkeypatch.setattr(checkpoint, "FIRST", 0.0)
    monkeypatch.setattr(checkpoint, "LONGEST", 0.0)
    with pytest.raises(helpers.Killed):
        helpers.train(helpers.job(disk, "auxbn", report=helpers.killed_at(6)))
    before = helpers.metrics(disk, "auxbn")
    disk.put(layout.run_yaml("r"), dump_config(helpers.config()).encode())
    disk.put(layout.plan("r"), helpers.plan(32).model_dump_json().encode())
    result = torchrun("-m", "--", "synaug", "train", "--store", disk.url, "--run", "r", "--arm", "auxbn", "--seed", "0")
    assert result.returncode == 0, result.stderr
    done = json.loads(disk.get(layout.training("r", "auxbn", 0, "done.json")))
    lines = helpers.metrics(disk, "auxbn")
    assert done["ranks"] == 2 and lines[: len(before)] == before and len(before) == 5 and len(lines) == 12


@pytest.mark.slow
def test_another_number_of_ranks_sees_the_same_global_batches(disk, folder):
    ends = {}
    for processes, kill_at in ((1, 5), (2, 9), (1, 0)):
        part = folder / str(processes + kill_at)
        part.mkdir()
        ends[part.name] = kill_at or float("inf")
        result = torchrun(RANK, disk.url, "auxbn", str(part), str(kill_at), processes=processes)
        assert (result.returncode == 0) == (kill_at == 0), result.stderr
    continued = {}
    for file in sorted(folder.glob("*/*.json"), key=lambda file: file.parent.name):
        for step, images in json.loads(file.read_text()).items():
            if int(step) < ends[file.parent.name]:  # in the step of the kill a peer may have begun its half
                continued.setdefault((file.parent.name, step), []).extend(images)
    for key in list(disk.list("runs/r/train/")):
        disk.delete(key)
    whole = folder / "whole"
    whole.mkdir()
    assert torchrun(RANK, disk.url, "auxbn", str(whole), processes=1).returncode == 0
    expected = json.loads((whole / "0.json").read_text())
    assert {step for _, step in continued} == set(expected)
    for (run, step), images in continued.items():
        assert sorted(images) == sorted(expected[step]), (run, step)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["auxbn", "real"])
def test_two_ranks_killed_and_restarted_continue_with_equal_losses(disk, folder, arm):
    assert torchrun(RANK, disk.url, arm, str(folder)).returncode == 0
    whole = helpers.metrics(disk, arm)
    for key in list(disk.list("runs/r/train/")):
        disk.delete(key)
    assert torchrun(RANK, disk.url, arm, str(folder), "7").returncode != 0
    assert torchrun(RANK, disk.url, arm, str(folder)).returncode == 0
    for line, expected in zip(helpers.metrics(disk, arm), whole, strict=True):
        assert line == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_loses_its_peer_ends_with_170(disk, folder, victim):
    """Without torchrun, which would end the other one itself. Rank 0 holds the store of the rendezvous."""
    port = str(free_ports(1)[0])
    ranks = []
    for rank in range(2):
        place = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        command = [sys.executable, RANK, disk.url, "auxbn", str(folder), "4", str(victim)]
        ranks.append(subprocess.Popen(command, env=ENVIRONMENT | place, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    lines = [process.communicate(timeout=120)[1] for process in ranks]
    assert ranks[victim].returncode == -9
    assert ranks[1 - victim].returncode == TransientError.exit_code, lines[1 - victim]
    assert "lost its peers" in lines[1 - victim] and "run again" in lines[1 - victim]


def test_a_batch_too_small_for_the_ranks_is_refused(disk):
    job = helpers.job(disk, "naive", settings=helpers.config(batch_size=2))
    ranks = distributed.Ranks(0, 2, torch.device("cpu"))
    with pytest.raises(UsageError, match="1 real and 1 synthetic images of a batch are too few for 2 ranks"):
        loop.train(job, helpers.arms.resolve_arm(job.config, "naive"), ranks)


def test_what_gloo_says_of_a_lost_peer_is_transient_and_other_errors_are_not():
    with pytest.raises(TransientError, match="lost its peers"), distributed.lost_peers_are_transient():
        raise RuntimeError(
            "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234"
        )
    with pytest.raises(RuntimeError, match="shapes"), distributed.lost_peers_are_transient():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"compute\.device='cuda:0', but this machine has 0 usable GPUs"):
        distributed.device_of("cuda", 0, 1)
    assert distributed.device_of("auto", 1, 2).type == "cpu"
