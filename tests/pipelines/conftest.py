"""A stand-in API server and the client's command line against it."""

import pytest

from pipelines.__main__ import main
from pipelines.api import kubeconfig as client_config
from tests.pipelines.api_server import ApiServer, kubeconfig, serving


@pytest.fixture
def api():
    return ApiServer()


@pytest.fixture
def no_cluster(tmp_path, monkeypatch):
    """Neither a kubeconfig nor a development cluster nor a run.yaml."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client_config, "DEVELOPMENT", tmp_path / "none" / "kubeconfig")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cluster(api, no_cluster, tmp_path, monkeypatch):
    """The client's kubeconfig names the stand-in server; returns it."""
    with serving(api) as url:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", url)))
        yield api


@pytest.fixture
def client(capsys):
    """client(*arguments) -> (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
