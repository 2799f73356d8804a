"""What each account may do, asked of the API server: the list of tests/helm, and nothing more."""

import itertools

from kubernetes import client

from tests.cluster.development import NAMESPACE, until
from tests.helm.test_access import RIGHTS

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("argoproj.io", "workflows"),
    ("argoproj.io", "workflowtemplates"),
    ("argoproj.io", "workflowtaskresults"),
    ("kubeflow.org", "pytorchjobs"),
    ("", "pods"),
    ("", "pods/log"),
    ("", "pods/exec"),
    ("", "events"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "serviceaccounts/token"),
    ("", "nodes"),
    ("", "namespaces"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("apps", "deployments"),
    ("batch", "jobs"),
)
SUBMITTERS = "synaug-submitters"  # k8s/values.yaml


def may(
    cluster, group: str, resource: str, verb: str, *, user: str, groups: list[str], namespace: str = NAMESPACE
) -> bool:
    resource, _, part = resource.partition("/")
    attributes = client.V1ResourceAttributes(
        group=group, resource=resource, subresource=part or None, verb=verb, namespace=namespace
    )
    review = client.V1SubjectAccessReview(
        spec=client.V1SubjectAccessReviewSpec(user=user, groups=groups, resource_attributes=attributes)
    )
    return cluster.authorization.create_subject_access_review(review).status.allowed


def found(cluster, *, user: str, groups: list[str], namespace: str = NAMESPACE) -> dict[tuple[str, str], set[str]]:
    allowed = {}
    for (group, resource), verb in itertools.product(RESOURCES, VERBS):
        if may(cluster, group, resource, verb, user=user, groups=groups, namespace=namespace):
            allowed.setdefault((group, resource), set()).add(verb)
    return allowed


def account(name: str) -> dict:
    user = f"system:serviceaccount:{NAMESPACE}:synaug-{name}"
    return {
        "user": user,
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
    }


def test_the_stages_account_may_do_nothing(cluster):
    assert found(cluster, **account("stage")) == {}


def test_launcher_and_executor_may_do_what_is_listed(cluster):
    assert found(cluster, **account("launcher")) == RIGHTS["synaug-launcher"]
    assert found(cluster, **account("executor")) == RIGHTS["synaug-executor"]


def test_people_may_do_what_is_listed_in_this_namespace_and_nothing_in_another(cluster):
    people = {"user": "someone", "groups": [SUBMITTERS, "system:authenticated"]}
    assert found(cluster, **people) == RIGHTS["synaug-submitter"]
    assert found(cluster, **people, namespace="default") == {}


def test_a_workflow_that_brings_its_own_pod_is_not_run(cluster):
    """Else who may create one could run any pod with any Secret of the namespace.

    k8s/prerequisites.py sets templateReferencing: Strict.
    """
    where = ("argoproj.io", "v1alpha1", NAMESPACE, "workflows")
    own = {
        "entrypoint": "main",
        "templates": [{"name": "main", "container": {"image": "localhost/pause", "command": ["true"]}}],
    }
    overridden = {
        "workflowTemplateRef": {"name": "synaug-fetch"},
        "serviceAccountName": "synaug-launcher",
        "arguments": {"parameters": [{"name": "run", "value": "none"}]},
    }
    for name, spec, said in (
        ("own-pod", own, "workflowTemplateRef"),
        ("own-account", overridden, "ServiceAccountName"),
    ):
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}
        cluster.custom.create_namespaced_custom_object(*where, body)
        try:
            status = until(
                lambda name=name: (cluster.workflow(name) or {}).get("status"), f"{name} has a status", seconds=60
            )
            assert status["phase"] == "Error" and said in status["message"], status
            assert not cluster.nodes(name)
        finally:
            cluster.delete_workflow(name)
