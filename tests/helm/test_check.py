"""files/check.py, which `helm test` runs in the cluster: here against a store on disk, with its codes and lines."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.helm.chart import CHART, STORE, one, rendered

SCRIPT = CHART / "files" / "check.py"


def check(**environment: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "AWS_", "SYNAUG_"))}
    root = str(CHART.parents[1])
    return subprocess.run(
        [sys.executable, SCRIPT], env=inherited | {"PYTHONPATH": root} | environment, capture_output=True, text=True
    )


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    (folder / "hub").mkdir(parents=True)
    return folder


def test_a_store_and_models_that_work_are_a_line_each_and_nothing_is_left_behind(store, models):
    done = check(SYNAUG_STORE=store.as_uri(), SYNAUG_MODELS=str(models))
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split()[:2] for line in lines] == [["ok", "store"], ["ok", "models"]]
    assert lines[1].endswith(": hub")
    assert not [path for path in store.rglob("*") if path.is_file()]


def test_a_store_that_does_not_work_is_one_line_and_the_stages_exit_code(tmp_path, models):
    (tmp_path / "no-folder").write_text("")
    done = check(SYNAUG_STORE=(tmp_path / "no-folder").as_uri(), SYNAUG_MODELS=str(models))
    failed, fine = done.stdout.splitlines()
    assert done.returncode == 3 and failed.startswith("FAILED  store") and "no-folder" in failed
    assert fine.startswith("ok      models"), "the second check runs all the same"


def test_an_empty_claim_says_what_belongs_there(store, tmp_path):
    (tmp_path / "empty").mkdir()
    done = check(SYNAUG_STORE=store.as_uri(), SYNAUG_MODELS=str(tmp_path / "empty"))
    assert done.returncode == 4
    assert "is empty; put model folders, or a Hugging Face cache as `hub`, on it" in done.stdout


def test_offline_without_a_claim_only_the_embedded_models_are_left(store):
    done = check(SYNAUG_STORE=store.as_uri(), HF_HUB_OFFLINE="1")
    assert done.returncode == 0 and "offline: only the embedded models" in done.stdout


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *args):
        pass


def test_a_token_that_the_hub_refuses_is_permanent_and_names_the_secret(store):
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = check(
            SYNAUG_STORE=store.as_uri(), HF_TOKEN="hf_wrong", HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}"
        )
        server.shutdown()
    assert done.returncode == 4
    assert done.stdout.splitlines()[1].endswith("put a valid token into the Secret of models.tokenSecret")


def test_a_hub_out_of_reach_is_transient_and_says_the_ways_on(store):
    done = check(SYNAUG_STORE=store.as_uri(), HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 170
    assert "the hub is out of reach" in done.stdout and "models.claim, or models.offline" in done.stdout


def test_the_pod_runs_this_script():
    documents = rendered(STORE)
    pod, config = one(documents, "Pod", "synaug-test"), one(documents, "ConfigMap", "synaug-test")
    assert config["data"]["check.py"] == SCRIPT.read_text()
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "/etc/synaug/check/check.py"]
    assert {"name": "check", "mountPath": "/etc/synaug/check", "readOnly": True} in container["volumeMounts"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
