"""The small Workflow that is sent."""

import pytest

from pipelines import names
from pipelines.api import workflow_request
from synaug.errors import UsageError
from tests.pipelines import schema


def test_a_submission_is_a_reference_and_arguments():
    body = workflow_request.workflow("run", "first-4f2a", {"run": "first", "config": "scale: 6x\n"}, run="first")
    assert schema.mistakes(schema.argo("Workflow"), body) == [] == schema.mistakes(schema.hera("Workflow"), body)
    assert body["spec"] == {
        "workflowTemplateRef": {"name": "synaug-run"},
        "arguments": {"parameters": [{"name": "run", "value": "first"}, {"name": "config", "value": "scale: 6x\n"}]},
    }
    assert body["metadata"]["labels"][names.RUN_LABEL] == "first"


@pytest.mark.parametrize("value, said", [
    ("x" * (64 * 1024 + 1), "65,537 bytes, 65,536 at most"), ("é" * 40_000, "80,000 bytes"),
    ("a: 1\ntemplate: '{{name}}'\n", "template: '{{name}}'"), ("a: \x07", r"'\\x07'"), ("a: \x7f", r"'\\x7f'"),
])  # fmt: skip
def test_what_argo_would_not_pass_on_as_it_is_is_refused(value, said):
    with pytest.raises(UsageError, match=said):
        workflow_request.workflow("run", "first-4f2a", {"config": value})


def test_a_configuration_of_full_size_in_any_script_passes():
    workflow_request.check("config", "größe: 1\n\tname: 鶴 🦩\n".ljust(64 * 1024 - 20))


def test_stop_lets_the_exit_handler_run():
    assert workflow_request.stop() == {"spec": {"shutdown": "Stop"}}
