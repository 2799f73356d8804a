"""The exit handler and the launcher's command line."""

import argparse
import subprocess
import sys

import pytest

from pipelines.commands import finish, launch
from synaug.errors import DataError


class Jobs:
    def __init__(self, found):
        self.found, self.deeds = found, []

    def of(self, workflow):
        return [{"metadata": {"name": name}} for name in self.found[workflow]]

    def delete(self, name):
        self.deeds.append(f"delete {name}")

    def remove(self, name):
        self.deeds.append(f"await {name}")


def test_all_jobs_of_the_workflow_are_deleted_before_one_is_awaited(monkeypatch, capsys):
    jobs = Jobs({"first-4f2a": ["a", "b"], "second-11aa": ["c"]})
    monkeypatch.setattr(finish, "in_this_pod", lambda: jobs)
    finish.main(argparse.Namespace(workflow="first-4f2a"))
    assert jobs.deeds == ["delete a", "delete b", "await a", "await b"]
    assert "2 PyTorchJobs removed" in capsys.readouterr().out


def test_a_workflow_without_jobs_ends_well(monkeypatch, capsys):
    monkeypatch.setattr(finish, "in_this_pod", lambda: Jobs({"first-4f2a": []}))
    finish.main(argparse.Namespace(workflow="first-4f2a"))
    assert "no PyTorchJob to remove" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "a: [", "just text"])
def test_a_base_that_is_none_is_said(tmp_path, content):
    path = tmp_path / "training-job.yaml"
    if content is not None:
        path.write_text(content)
    args = argparse.Namespace(
        store="s3://b", run="first", arm="a", seed=0, workflow="first-4f2a", uid="u", job=str(path)
    )
    with pytest.raises(DataError, match=r"no PyTorchJob to start from.*helm upgrade"):
        launch.main(args)


def test_a_stop_before_the_work_begins_ends_with_143():
    code = "import os, signal, sys; from pipelines import __main__ as m; from pipelines.commands import fetch; "
    code += "fetch.main = lambda args: os.kill(os.getpid(), signal.SIGTERM); sys.exit(m.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "fetch", "--store", "x", "--run", "first", "--what", "report"], capture_output=True
    )
    assert done.returncode == 143
