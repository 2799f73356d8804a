"""What the chart lets whom do, and nothing else; in words: helm/synaug/README.md."""

import pytest

from synaug import __version__
from tests.helm.chart import CHART, NAMESPACE, SCENARIOS, STORE, one, rendered, scenario

RIGHTS = {
    "synaug-executor": {("argoproj.io", "workflowtaskresults"): {"create", "patch"}},
    "synaug-launcher": {
        ("kubeflow.org", "pytorchjobs"): {"get", "list", "create", "delete"},
        ("", "pods"): {"list"},
        ("", "pods/log"): {"get"},
        ("", "events"): {"list"},
    },
    "synaug-submitter": {
        ("argoproj.io", "workflows"): {"get", "list", "watch", "create", "delete", "patch"},
        ("argoproj.io", "workflowtemplates"): {"get"},
        ("", "pods"): {"get", "list"},  # get: of kubectl describe and logs, which docs/stuck.md advises
        ("", "pods/log"): {"get"},
        ("", "events"): {"list"},
    },
}
NAMESPACED = {
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "Role",
    "RoleBinding",
    "WorkflowTemplate",
    "Pod",
    "PodMonitor",
}


def rights(role: dict) -> dict[tuple[str, str], set[str]]:
    found = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def test_each_role_may_do_exactly_what_is_listed():
    documents = rendered(STORE | {"submitters": ["team-a"]})
    assert {each["metadata"]["name"]: rights(each) for each in documents if each["kind"] == "Role"} == RIGHTS


def test_each_role_is_bound_to_its_account_and_people_by_their_groups():
    documents = rendered(STORE | {"submitters": ["team-a", "oidc:b"]})
    bound = {each["metadata"]["name"]: each for each in documents if each["kind"] == "RoleBinding"}
    assert set(bound) == set(RIGHTS)
    for name, binding in bound.items():
        assert binding["roleRef"]["kind"] == "Role" and binding["roleRef"]["name"] == name
    people = bound.pop("synaug-submitter")["subjects"]
    assert [(each["kind"], each["name"]) for each in people] == [("Group", "team-a"), ("Group", "oidc:b")]
    for name, binding in bound.items():
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]


def test_nobody_may_submit_unless_a_group_is_named():
    documents = rendered(STORE)
    assert {each["metadata"]["name"] for each in documents if each["kind"].startswith("Role")} == set(RIGHTS) - {
        "synaug-submitter"
    }


@pytest.mark.parametrize("values", [STORE | {"submitters": ["a"]}, *map(scenario, SCENARIOS)])
def test_nothing_is_cluster_scoped_or_in_another_namespace(values):
    for document in rendered(values):
        assert document["kind"] in NAMESPACED
        assert document["metadata"].get("namespace", NAMESPACE) == NAMESPACE


def test_the_executors_token_has_the_name_that_argo_looks_for():
    documents = rendered(STORE)
    secret = one(documents, "Secret", "synaug-executor.service-account-token")
    assert secret["type"] == "kubernetes.io/service-account-token"
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.name"] == "synaug-executor"
    assert "data" not in secret and "stringData" not in secret
    accounts = {each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"}
    for document in documents:
        if document["kind"] == "WorkflowTemplate":
            spec = document["spec"]
            used = {spec["serviceAccountName"], spec["executor"]["serviceAccountName"]}
            assert (
                used | {each["serviceAccountName"] for each in spec["templates"] if "serviceAccountName" in each}
                <= accounts
            )


def test_accounts_carry_the_workload_identity_of_the_store_but_not_the_executor():
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/synaug"}
    documents = rendered(STORE | {"serviceAccounts": {"stage": {"annotations": role}}})
    found = {each["metadata"]["name"]: each for each in documents if each["kind"] == "ServiceAccount"}
    assert {name for name, each in found.items() if each["metadata"].get("annotations") == role} == {
        "synaug-stage",
        "synaug-launcher",
    }
    assert [name for name, each in found.items() if each["automountServiceAccountToken"] is not False] == [
        "synaug-launcher"
    ]


def test_the_templates_tell_the_client_version_and_ui():
    documents = rendered(STORE | {"argo": {"uiUrl": "https://argo.example.com", "namespace": "workflows"}})
    templates = [each for each in documents if each["kind"] == "WorkflowTemplate"]
    assert {each["metadata"]["name"] for each in templates} == {
        f"synaug-{name}" for name in ("run", "plan", "import", "preview", "fetch")
    }
    for each in templates:
        annotations = each["metadata"]["annotations"]
        assert annotations["synaug/version"] == __version__
        assert annotations["synaug/ui-url"] == "https://argo.example.com"
        assert annotations["synaug/argo-namespace"] == "workflows"
        assert each["spec"].get("podGC") == (
            None if each["metadata"]["name"] == "synaug-fetch" else {"strategy": "OnPodSuccess"}
        )
        assert each["spec"]["ttlStrategy"] == {
            "secondsAfterSuccess": 7 * 24 * 3600,
            "secondsAfterFailure": 28 * 24 * 3600,
        }


def test_chart_and_package_have_one_version():
    chart = (CHART / "Chart.yaml").read_text()
    assert f"\nversion: {__version__}\n" in chart and f'\nappVersion: "{__version__}"\n' in chart
