"""With the chart's values merged in, Argo 3.7.18 and training-operator 1.9.3 accept the objects, field by field."""

import pytest

from tests.helm.chart import DEVELOPMENT, SCENARIOS, SECRETS, STORE, rendered, scenario, training_job
from tests.pipelines.schema import argo, mistakes, pytorch_job

ALL = {  # every kind of value that reaches a pod
    "pods": {
        "images": {
            "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": True}}}],
            "volumes": [
                {"name": "cache", "emptyDir": {}},
                {"name": "keys", "secret": {"secretName": "k", "defaultMode": 256}},
            ],
            "volumeMounts": [{"name": "cache", "mountPath": "/cache", "subPath": "x"}],
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "deadlineHours": 1.5,
            "gpus": 0,
            "nodeSelector": {"e": "f"},
            "tolerations": [
                {"key": "g", "operator": "Equal", "value": "h", "effect": "NoExecute", "tolerationSeconds": 9}
            ],
        }
    },
    "store": {"url": "s3://bucket", "secret": "s", "ca": {"configMap": "ca"}},
    "models": {"claim": "weights"},
    "limits": {"gpus": 4},
    "argo": {"keepHours": {"succeeded": 0.5}},
}
CASES = [pytest.param(STORE | SECRETS, id="defaults"), pytest.param(ALL, id="all")]
CASES += [
    pytest.param(scenario(path) | SECRETS, id=f"{path.parent.name}/{path.stem}") for path in (*SCENARIOS, DEVELOPMENT)
]


@pytest.mark.parametrize("values", CASES)
def test_what_the_chart_makes_of_the_rendered_templates_is_valid(values):
    documents = rendered(values)
    made = {
        each["metadata"]["name"]: mistakes(argo("WorkflowTemplate"), each)
        for each in documents
        if each["kind"] == "WorkflowTemplate"
    }
    assert made == {name: [] for name in made} and len(made) == 5
    assert mistakes(pytorch_job(), training_job(documents)) == []
