"""Worker processes: several tasks, failures and deaths, nobody left over; and a crew that makes a call each at once."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synaug.errors import DataError
from synaug.runner.worker_pool import IMPORTS, MALLOC, QUIET, THREAD_VARIABLES, WorkerCrew, WorkerFailed, Workers

TESTS = Path(__file__).parent


def answer(argument, report):
    report(argument + 1)
    return "done", (argument * 2, os.getpid())


def die(argument, report):
    os.kill(os.getpid(), argument)


def wait_forever(argument, report):
    report(os.getpid())
    signal.pause()


def variables(argument, report):
    return "done", [os.environ.get(name) for name in argument]


def finish(workers: Workers) -> list:
    """Events until nothing is busy."""
    events = []
    while workers.busy:
        events += workers.events()
    return events


@pytest.fixture
def workers(monkeypatch, own_forkserver):
    for name in (*THREAD_VARIABLES, *MALLOC, *QUIET):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    pool = Workers(2, threads=1, preload=[])
    yield pool
    pool.close()


def await_end(pid: int, seconds: float = 20) -> bool:
    """Whether a process ends within the time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(1000 * seconds))
    finally:
        os.close(descriptor)


def test_reports_and_results_come_back_with_their_tag(workers):
    workers.submit("a", answer, 1)
    workers.submit("b", answer, 10)
    events = finish(workers)
    assert {(tag, kind) for tag, kind, _ in events} == {("a", "report"), ("a", "done"), ("b", "report"), ("b", "done")}
    assert {tag: value[0] for tag, kind, value in events if kind == "done"} == {"a": 2, "b": 20}
    assert len({value[1] for _, kind, value in events if kind == "done"}) == 2
    assert len(workers.free) == 2


def test_a_killed_worker_fails_its_task_and_is_replaced(workers):
    workers.submit("dies", die, signal.SIGKILL)
    workers.submit("lives", answer, 1)
    results = {tag: (kind, value) for tag, kind, value in finish(workers) if kind != "report"}
    assert results["lives"][0] == "done"
    kind, (code, line) = results["dies"]
    assert (kind, code) == ("failed", 137)
    assert "SIGKILL" in line
    workers.submit("again", answer, 2)
    workers.submit("and again", answer, 3)
    assert [kind for _, kind, _ in finish(workers)].count("done") == 2


def test_threads_and_allocator_are_set_before_a_worker_starts(workers):
    workers.submit("env", variables, ["OMP_NUM_THREADS", "MALLOC_TOP_PAD_"])
    assert finish(workers) == [("env", "done", ["1", "536870912"])]


def gpus_seen(argument, report):
    import torch

    return "done", (os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda._is_in_bad_fork())


def crew_gpus_seen(argument, report):
    return gpus_seen(argument, report)[1]


@pytest.mark.parametrize("visible", [None, "1,3"])
def test_a_worker_can_still_use_cuda_after_the_imports_of_its_server(own_forkserver, monkeypatch, visible):
    """Of `run` and `study` (Workers) and of `preview` (WorkerCrew): diffusers asked for the number of GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    pool = Workers(1, threads=1, preload=[IMPORTS])
    pool.submit("looks", gpus_seen, None)
    assert finish(pool) == [("looks", "done", (visible, False))]
    pool.close()
    with WorkerCrew(2, threads=1) as crew:
        assert crew.map(crew_gpus_seen, [None]) == [(visible, False)]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


def test_each_worker_sees_its_own_gpu_also_after_another_died(own_forkserver):
    pool = Workers(2, threads=1, preload=[], gpus=["4", "GPU-7"])
    for _ in range(3):
        pool.submit("dies", die, signal.SIGKILL)
        finish(pool)
        assert sorted(worker.gpus for worker in pool.free) == ["4", "GPU-7"]
        for n in range(2):
            pool.submit(n, variables, ["CUDA_VISIBLE_DEVICES"])
        assert sorted(value for _, _, value in finish(pool)) == [["4"], ["GPU-7"]]
    pool.close()


def fail(argument: int, report) -> tuple[str, tuple[int, str]]:
    return "failed", (os.getpid(), "CUDA error: an illegal memory access was encountered")


def test_a_process_that_failed_on_a_gpu_gets_no_other_task_and_has_ended_before_the_next_has_its_gpu(own_forkserver):
    pool = Workers(1, threads=1, preload=[], gpus=["GPU-7"])
    pids = set()
    for n in range(3):
        pool.submit(n, fail, n)
        ((_, kind, (pid, _)),) = finish(pool)
        assert kind == "failed" and pid not in pids
        assert await_end(pid, 0)
        assert pool.gpus_of(n) == "GPU-7"
        pids.add(pid)
    pool.close()


def test_close_ends_busy_workers(own_forkserver):
    pool = Workers(1, threads=1, preload=[])
    pool.submit("waits", wait_forever, None)
    ((_, _, pid),) = pool.events()
    pool.close()
    assert await_end(pid, 0)


RUNNER = """
import sys; sys.path.insert(0, {tests!r})
from synaug.runner.worker_pool import Workers
import test_worker_pool
if __name__ == "__main__":
    pool = Workers(2, threads=1, preload=[])
    pool.submit("a", test_worker_pool.wait_forever, None)
    pool.submit("b", test_worker_pool.wait_forever, None)
    seen = 0
    while seen < 2:
        for tag, kind, pid in pool.events():
            print(pid, flush=True); seen += 1
    for event in pool.events(): pass
"""


def test_no_worker_outlives_a_runner_that_is_killed(tmp_path):
    script = tmp_path / "runner.py"
    script.write_text(RUNNER.format(tests=str(TESTS)))
    here = os.environ | {"PYTHONPATH": str(TESTS.parents[2])}
    runner = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=here)
    pids = [int(runner.stdout.readline()) for _ in range(2)]
    assert not any(await_end(pid, 0) for pid in pids)
    runner.kill()
    runner.wait()
    assert all(await_end(pid) for pid in pids)


def who(argument: int, report) -> tuple[int, int]:
    report(argument)
    return argument, os.getpid()


def broken(argument: int, report) -> None:
    raise DataError(f"the tar {argument} is broken")


@pytest.mark.slow
def test_each_call_has_a_process_of_its_own():
    heard = []
    with WorkerCrew(2, threads=1) as crew:
        (first, a), (second, b) = crew.map(who, [1, 2], heard.append)
        assert (
            (first, second) == (1, 2) and len({a, b, os.getpid()}) == 3 and sorted(heard) == [1, 2] and crew.start > 0
        )
        with pytest.raises(WorkerFailed, match="the tar 7 is broken") as caught:
            crew.map(broken, [7])
        assert caught.value.exit_code == DataError.exit_code


def test_one_call_is_made_here():
    with WorkerCrew(1, threads=1) as crew:
        assert crew.map(who, [1]) == [(1, os.getpid())]
