"""A cluster that is not there, refuses or does not answer: one line with its fix, by the example of `make submit`."""

import threading

import pytest

from tests.pipelines.api_server import NO_SUCH_PATH, UNAUTHORIZED, ApiServer, forbidden, kubeconfig, serving, status

TEMPLATE = ("GET", "/workflowtemplates/")
SERVER = [
    ([(*TEMPLATE, NO_SUCH_PATH)], 3,
     "does not know Argo's workflows: the CRDs are missing; install Argo Workflows 3.7"),
    ([(*TEMPLATE, UNAUTHORIZED)], 4,
     "context test refuses the credentials (401: they are missing, wrong or expired)"),
    ([(*TEMPLATE, forbidden("get", "workflowtemplates"))], 4,
     "no right to get workflowtemplates.argoproj.io in namespace synaug: jane lacks it on context test; have your "
     "group added to "),
    ([(*TEMPLATE, forbidden("get", "workflowtemplates", user="system:anonymous"))], 4,
     "(none were sent); log in again"),
    ([("POST", "/workflows$", forbidden("create", "workflows"))], 4,
     "no right to create workflows.argoproj.io in namespace synaug: jane"),
    ([("POST", "/workflows$", status(422, "Invalid", 'Workflow "x" is invalid: spec.arguments: Invalid value'))], 3,
     "the API server refuses POST workflows (422)"),
    ([(*TEMPLATE, status(503, "ServiceUnavailable", "etcd is away"))], 170,
     "could not answer GET synaug-run (503)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "expected", "line"), SERVER, ids=["no-crd", "401", "403-get", "anonymous", "403-create", "422", "503"]
)
def test_what_the_server_refuses_is_one_line_with_its_fix(cluster, client, answers, expected, line):
    cluster.answers += answers
    code, _, err = client("submit", "--config", "demo")
    assert code == expected, err
    assert line in err.splitlines()[-1]


def test_a_server_that_hangs_is_given_up(cluster, client, monkeypatch):
    monkeypatch.setattr("pipelines.api.client.READ", 0.2)
    hang = threading.Event()

    def late():
        hang.wait(5)
        return 200, {}

    cluster.answers.append(("GET", "/workflowtemplates/", late))
    code, _, err = client("submit", "--config", "demo")
    hang.set()
    assert (code, err.count("\n")) == (170, 1)
    assert "does not answer (timed out)" in err


def test_no_chart_says_how_to_install_it(cluster, client):
    cluster.templates.clear()
    code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (3, 1)
    assert (
        "synaug is not installed in namespace 'synaug' of context test (no WorkflowTemplate synaug-run); install the "
        "chart: " in err
    )


def test_a_missing_namespace_is_told_from_a_missing_chart(cluster, client):
    code, _, err = client("submit", "--config", "demo", "--namespace", "elsewhere")
    assert (code, err.count("\n")) == (2, 1)
    assert "context test has no namespace 'elsewhere'" in err


def test_another_version_of_the_chart_is_refused(no_cluster, client, tmp_path, monkeypatch):
    with serving(ApiServer(version="0.0.9")) as url:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", url)))
        code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (2, 1)
    assert "is version 0.0.9, this client" in err


def test_no_cluster_names_the_two_ways_on(no_cluster, client):
    code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (2, 1)
    assert "no cluster" in err
    assert "`make demo`" in err
    assert "`make cluster`" in err


def test_a_server_that_is_not_there_is_said_in_one_line(no_cluster, client, tmp_path, monkeypatch):
    with serving(ApiServer()) as url:
        pass
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", url)))
    code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (170, 1)
    assert f"context test at {url} does not answer (connection refused)" in err


def test_a_server_that_speaks_no_tls_is_said_in_one_line(no_cluster, client, tmp_path, monkeypatch):
    with serving(ApiServer()) as url:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", url.replace("http://", "https://"))))
        code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (170, 1)
    assert "does not answer (" in err


def test_the_token_of_the_kubeconfig_is_sent(cluster, client):
    client("watch", "--run", "none")
    assert cluster.tokens == {"Bearer a-token"}


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "a: [", "kind: Config\n"], ids=["empty", "list", "broken", "no contexts"]
)
def test_a_file_that_is_no_kubeconfig_is_said_in_one_line(no_cluster, client, tmp_path, monkeypatch, text):
    (tmp_path / "bad").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "bad"))
    code, _, err = client("submit", "--config", "demo")
    assert (code, err.count("\n")) == (2, 1), err
