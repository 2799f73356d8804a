"""What helm says: before an install that cannot work, and after one that did."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import APIS, CHART, STORE, template

ARGO, OPERATOR, MONITOR = APIS
MONITORED = {"metrics": {"podMonitor": {"enabled": True}}}


@pytest.mark.parametrize(
    ("values", "apis", "named"),
    [
        ({}, APIS, "store.url is needed: --set store.url=s3://bucket/prefix"),
        (STORE, (OPERATOR,), "no Argo Workflows (argoproj.io/v1alpha1/WorkflowTemplate): install 3.7 first"),
        (STORE, (ARGO,), "no Kubeflow training operator (kubeflow.org/v1/PyTorchJob): install 1.9 first"),
        (STORE | MONITORED, (ARGO, OPERATOR), "metrics.podMonitor.enabled: the cluster has no Prometheus"),
    ],
    ids=["store", "argo", "operator", "monitor"],
)
def test_what_is_missing_is_said_in_one_line(values, apis, named):
    done = template(values, apis=apis)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if named in line]
    assert line.startswith("Error: ")


def test_preflight_can_be_left_out():
    assert template(STORE | {"preflight": False}, apis=()).returncode == 0


def notes(values: dict, folder: Path) -> str:
    """Only an install shows them, and wants a cluster: here a manifest of a copy of the chart includes them."""
    chart = folder / "synaug"
    shutil.copytree(CHART, chart)
    (chart / "templates" / "shown.yaml").write_text(
        'notes: {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}'
    )
    done = template(values, "--show-only", "templates/shown.yaml", chart=chart)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["notes"]


def test_notes_lead_to_the_next_commands_in_this_namespace(tmp_path):
    text = notes(STORE, tmp_path)
    commands = [
        "helm test synaug -n team --logs",
        "make import NAMESPACE=team",
        "make preview NAMESPACE=team",
        "make plan NAMESPACE=team",
        "make submit NAMESPACE=team",
    ]
    places = [text.index(command) for command in commands]
    assert places == sorted(places)
    assert "kubectl -n argo port-forward service/argo-server 2746" in text


def test_notes_say_what_will_not_work_yet(tmp_path):
    text = notes(STORE, tmp_path)
    assert "make images PUSH=registry/prefix" in text
    assert "No credentials for the store are set" in text
    assert "Nobody but you may submit" in text


def test_notes_name_the_accounts_of_a_workload_identity(tmp_path):
    role = {
        "serviceAccounts": {
            "stage": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/synaug"}}
        }
    }
    text = notes(STORE | role, tmp_path)
    assert "system:serviceaccount:team:synaug-stage and\nsystem:serviceaccount:team:synaug-launcher" in text
    assert "No credentials" not in text


def test_notes_are_silent_about_what_is_set(tmp_path):
    values = {
        "store": {"url": "s3://bucket", "secret": "keys"},
        "image": {"repository": "registry.example.com/synaug"},
        "submitters": ["team"],
        "argo": {"uiUrl": "https://argo.example.com"},
    }
    text = notes(values, tmp_path)
    assert "https://argo.example.com/workflows/team" in text
    for word in ("make images", "No credentials", "Nobody but you", "port-forward"):
        assert word not in text
