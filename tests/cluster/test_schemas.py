"""The API server with Argo's full CRDs takes every template as it stands, and refuses a misspelled field."""

import copy

import pytest
from kubernetes import client

from pipelines import names
from tests.cluster.development import NAMESPACE

ARGO = ("argoproj.io", "v1alpha1", NAMESPACE, "workflowtemplates")
STRICT = {"dry_run": "All", "field_validation": "Strict"}


def installed(cluster, name: str) -> dict:
    """Without what the API server added."""
    found = cluster.custom.get_namespaced_custom_object(*ARGO, names.workflow_template(name))
    return {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "metadata": {"name": f"check-{name}"},
        "spec": found["spec"],
    }


@pytest.mark.parametrize("name", names.TEMPLATES)
def test_a_template_is_taken_and_with_a_misspelled_field_refused(cluster, name):
    template = installed(cluster, name)
    cluster.custom.create_namespaced_custom_object(*ARGO, template, **STRICT)
    wrong = copy.deepcopy(template)
    container = next(each for each in wrong["spec"]["templates"] if "container" in each)
    container["retryStrategi"] = container.get("retryStrategy", {})
    with pytest.raises(client.ApiException) as refused:
        cluster.custom.create_namespaced_custom_object(*ARGO, wrong, **STRICT)
    assert refused.value.status == 400 and "retryStrategi" in refused.value.body
