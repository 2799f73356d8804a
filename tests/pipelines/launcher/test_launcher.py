"""The launcher with a store on disk and jobs that live in this process."""

import json
import os
import signal
import threading
import time

import pytest

from pipelines.commands.launch import _stop
from pipelines.launcher import launcher as module
from pipelines.launcher.launcher import Launcher
from pipelines.workflow import training_job
from synaug.config import arms
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError, TransientError
from synaug.run.job import open_run
from tests import planned
from tests.pipelines.launcher.test_verdict import worker

UID = "0b5c2a6e"


class Jobs:
    """One job. script: what happens before each look, by its number."""

    def __init__(self, there=None, script=None):
        self.workers = [worker(0), worker(1)]
        self.there, self.script, self.deeds, self.looks, self.happened = there, script or {}, [], 0, []
        self.logs = {}

    def get(self, name):
        return self.there

    def create(self, body):
        if self.there is not None:
            return False
        self.deeds.append("create")
        self.there = body | {"metadata": body["metadata"] | {"uid": "u-1"}}
        return True

    def delete(self, name):
        self.deeds.append("delete")
        self.there = None

    def remove(self, name):
        self.deeds.append("remove")
        self.there = None

    def pods(self, job):
        self.script.get(self.looks, lambda: None)()
        self.looks += 1
        return self.workers

    def events(self, uid):
        return self.happened

    def log(self, pod, lines):
        return self.logs.get(pod, "")

    def become(self, condition):
        def change():
            self.there = self.there | {"status": {"conditions": [{"type": condition, "status": "True"}]}}

        return change


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "synaug.stages.plan._resolvers", lambda: [lambda config, role=role: planned.INFO[role] for role in planned.INFO]
    )
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(module, "PRINT", 0.0)
    store = open_store(tmp_path / "store", create=True)
    planned.put_real(store)
    planned.make_plan(store)
    return store


def launcher(store, jobs, arm="naive-2x") -> Launcher:
    job = training_job.job(
        training_job.base(), store=store.url, run="first", arm=arm, seed=0, workflow="first-4f2a", uid=UID
    )
    return Launcher(jobs, job, store=store.url, run="first", arm=arm, seed=0, uid=UID)


def publish(store, arm="naive-2x", **changed):
    settings = arms.resolve_arm(open_run(store, "first")[0], arm).frozen()
    return lambda: store.put(layout.training("first", arm, 0, "done.json"), json.dumps(settings | changed).encode())


def checkpoint(store, step, arm="naive-2x"):
    lines = [
        json.dumps({"step": n, "loss": 2.0 / n, "images_per_second": 400.0, "checkpoint_time": 1.0})
        for n in range(1, step + 1)
    ]
    return lambda: store.put(
        layout.training("first", arm, 0, "metrics.jsonl"), "".join(line + "\n" for line in lines).encode()
    )


def test_a_trained_arm_starts_nothing(run, capsys):
    jobs = Jobs()
    publish(run)()
    launcher(run, jobs).train()
    assert jobs.deeds == [] and "done already" in capsys.readouterr().out


def test_a_model_of_other_settings_is_left_to_the_train_command_to_refuse(run):
    jobs = Jobs()
    publish(run, steps=7)()
    jobs.script = {1: jobs.become("Failed")}
    with pytest.raises(TransientError):
        launcher(run, jobs).train()
    assert jobs.deeds == ["create"]


def test_an_arm_is_trained_when_its_model_is_published(run, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "progress"))
    jobs = Jobs()
    jobs.script = {1: checkpoint(run, 40), 2: publish(run), 3: jobs.become("Succeeded")}
    monkeypatch.setattr(module, "LINGER", 0.0)
    made = launcher(run, jobs)
    made.train()
    told = capsys.readouterr().out
    assert jobs.deeds == ["create", "delete"]
    assert f"step 40/{made.steps}, loss 0.05, 400 images/s, 2/2 workers, checkpoint" in told
    assert (tmp_path / "progress").read_text() == f"40/{made.steps}"


def test_a_job_that_succeeds_without_a_model_is_no_success(run):
    jobs = Jobs()
    jobs.script = {1: jobs.become("Succeeded")}
    with pytest.raises(TransientError, match="goes on from its checkpoint"):
        launcher(run, jobs).train()


def test_a_job_that_does_not_come_through_is_removed(run):
    jobs = Jobs()

    def another():
        jobs.workers = [again(0, jobs.looks), worker(1)]

    jobs.script = {n: another for n in range(1, 30)}
    with pytest.raises(TransientError, match="started again 21 times"):
        launcher(run, jobs).train()
    assert jobs.deeds == ["create", "delete"]


def again(n, number, **more):
    made = worker(n, **more)
    made["metadata"]["uid"] = f"again {number}"
    return made


def test_workers_that_wait_for_a_peer_without_a_node_may_do_so_as_long_as_it_takes(run, capsys):
    jobs = Jobs()
    unscheduled = worker(1, "Pending")
    unscheduled["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
    ]

    def another():
        jobs.workers = [again(0, jobs.looks), unscheduled]

    jobs.script = {n: another for n in range(30)} | {30: publish(run), 31: jobs.become("Succeeded")}
    launcher(run, jobs).train()
    assert "started again" in capsys.readouterr().out


def test_a_workers_end_is_told_once_and_a_failed_jobs_log_is_kept(run, capsys):
    jobs = Jobs()
    failed = worker(1, "Failed", code=3, said="a broken tar")
    jobs.logs = {failed["metadata"]["name"]: "step 40\nsynaug train: a broken tar\n"}

    def fail():
        jobs.workers = [worker(0), failed]

    jobs.script = {1: fail, 3: jobs.become("Failed")}
    with pytest.raises(DataError, match="a broken tar"):
        launcher(run, jobs).train()
    told = capsys.readouterr().out
    assert told.count("worker-1 ended with exit code 3: a broken tar\n") == 1
    assert f"--- the end of the log of {failed['metadata']['name']}:\nstep 40\nsynaug train: a broken tar\n---" in told


def test_of_a_failed_worker_that_is_gone_the_launcher_shows_what_it_left_in_the_store(run, capsys):
    jobs = Jobs()
    run.put(layout.log("first", "train", "naive-2x-0"), b"synaug train: checkpoint.pt is of another model\n")
    name = worker(0)["metadata"]["name"]
    jobs.happened = [{"message": f"Pod: synaug.{name} exited with code 3", "lastTimestamp": "2026-11-24T12:00:00Z"}]

    def gone():
        jobs.workers = []
        jobs.become("Failed")()

    jobs.script = {2: gone}
    with pytest.raises(DataError, match=f"worker {name} ended with exit code 3 and its pod is gone"):
        launcher(run, jobs).train()
    assert "checkpoint.pt is of another model" in capsys.readouterr().out


def test_a_failed_job_is_left_to_be_looked_at(run):
    jobs = Jobs()
    jobs.script = {1: jobs.become("Failed")}
    with pytest.raises(TransientError, match="the PyTorchJob failed"):
        launcher(run, jobs).train()
    assert jobs.deeds == ["create"]


def test_a_job_at_work_for_this_workflow_is_taken_over(run):
    jobs = Jobs()
    jobs.there = launcher(run, jobs).job
    jobs.script = {1: publish(run), 2: jobs.become("Succeeded")}
    jobs.there["status"] = {"conditions": [{"type": "Running", "status": "True"}]}
    made = launcher(run, jobs)
    made.begin()
    assert jobs.deeds == []


@pytest.mark.parametrize("older", ["finished", "another workflow's"])
def test_an_older_job_of_the_name_is_removed_first(run, older):
    jobs = Jobs()
    jobs.there = launcher(run, jobs).job
    if older == "finished":
        jobs.become("Failed")()
    else:
        jobs.there["metadata"]["ownerReferences"][0]["uid"] = "another"
    launcher(run, jobs).begin()
    assert jobs.deeds == ["remove", "create"]


@pytest.fixture
def terminated():
    """terminated() sends SIGTERM to this process, which handles it as `launch` does."""
    before = signal.signal(signal.SIGTERM, _stop)
    yield lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def test_a_stop_while_an_older_job_goes_starts_none(run, terminated):
    jobs = Jobs()
    made = launcher(run, jobs)
    jobs.there = made.job
    jobs.become("Failed")()
    jobs.remove = terminated
    with pytest.raises(SystemExit) as ended:
        made.train()
    assert ended.value.code == 143 and jobs.deeds == []


def test_a_stop_removes_the_job_and_ends_with_143(run, terminated):
    jobs = Jobs()
    jobs.script = {1: terminated}
    with pytest.raises(SystemExit) as ended:
        launcher(run, jobs).train()
    assert ended.value.code == 143 and jobs.deeds == ["create", "delete"]


def test_a_stop_does_not_wait_for_a_store_that_is_away(run, terminated, monkeypatch):
    jobs = Jobs()
    made = launcher(run, jobs)
    done = iter([lambda: False, lambda: time.sleep(60)])  # the store that is away: SIGTERM must end this wait
    monkeypatch.setattr(made, "done", lambda: next(done)())
    threading.Timer(0.3, terminated).start()
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        made.train()
    assert ended.value.code == 143 and jobs.deeds == ["create", "delete"]
    assert time.monotonic() - began < 10


def test_a_store_that_is_away_does_not_end_a_training_at_work(run, monkeypatch, capsys):
    jobs = Jobs()
    made = launcher(run, jobs)
    answers = iter([False, TransientError("s3://bucket did not answer"), True])

    def done():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(made, "done", done)
    monkeypatch.setattr(module, "LINGER", 0.0)
    made.train()
    assert "the store does not answer" in capsys.readouterr().out and jobs.deeds == ["create", "delete"]


def test_only_the_end_of_a_long_metrics_file_is_read(run, monkeypatch):
    checkpoint(run, 2000)()
    made = launcher(run, Jobs())
    reads = []
    get = made.store.get
    monkeypatch.setattr(made.store, "get", lambda key, **span: reads.append(span) or get(key, **span))
    assert made.metrics()["step"] == 2000
    assert reads[0]["length"] <= module.TAIL


def test_a_run_that_is_not_planned_is_said(tmp_path):
    store = open_store(tmp_path, create=True)
    with pytest.raises(DataError, match="is not planned"):
        launcher(store, Jobs())
