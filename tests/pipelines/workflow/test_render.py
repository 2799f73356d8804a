"""The rendered files: fresh, valid for Argo 3.7 and 4 and for the training operator, and quick to make."""

import copy
import json
import os
import subprocess
import sys

import pytest

from pipelines.workflow import render
from tests.pipelines import schema

WORKFLOWS = ("run.yaml", "plan.yaml", "import.yaml", "preview.yaml", "fetch.yaml")
FREE = ("labels", "annotations")  # maps whose keys are anybody's
MAPS = ("pytorchReplicaSpecs",)  # whose keys a webhook of the operator checks, not the schema
MAKE = """
import json, time
from pipelines.api import workflow_request as request
from pipelines.workflow import render
body = request.workflow("run", "imagenet-4f2a", {"run": "imagenet", "config": "x" * 60000}, run="imagenet")
print(json.dumps([render.rendered(), body, time.process_time()]))
"""


@pytest.fixture(scope="module")
def objects():
    return render.objects()


def validators(name: str):
    if name in WORKFLOWS:
        return schema.argo("WorkflowTemplate"), schema.hera("WorkflowTemplate")
    return (schema.pytorch_job(),)


def test_files_of_the_chart_are_fresh():
    written = {path.name: path.read_text() for path in render.FILES.glob("*.yaml")}
    assert written == render.rendered(), "stale: run `make render` and commit what changes"


def test_writing_changes_only_what_differs(tmp_path):
    assert sorted(render.write(tmp_path)) == sorted(render.rendered())
    (tmp_path / "run.yaml").write_text("older")
    assert render.write(tmp_path) == ["run.yaml"]
    assert render.write(tmp_path) == []


def test_a_fresh_process_renders_the_same_bytes_and_a_request_in_two_seconds():
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", MAKE], capture_output=True, text=True, check=True, env=environment)
    text, body, seconds = json.loads(done.stdout)  # of this process's own work: the tests run beside others
    assert text == render.rendered()
    assert schema.mistakes(schema.argo("Workflow"), body) == []
    assert seconds < 2


@pytest.mark.parametrize("name", [*WORKFLOWS, "training-job.yaml"])
def test_every_file_is_valid_with_unknown_fields_forbidden(objects, name):
    for validator in validators(name):
        assert schema.mistakes(validator, objects[name]) == []


def fields(node, path=()):
    """Paths of all named fields."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not (path and path[-1] in MAPS):
                yield (*path, key)
            if key not in FREE:
                yield from fields(value, (*path, key))
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from fields(value, (*path, n))


def misspelled(made, path):
    changed = copy.deepcopy(made)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[f"{path[-1]}s"] = node.pop(path[-1])
    return changed


@pytest.mark.parametrize("name", ["run.yaml", "import.yaml", "training-job.yaml"])
def test_a_misspelled_field_is_refused_wherever_it_stands(objects, name):
    seen = set()
    for path in fields(objects[name]):
        shape = tuple("n" if isinstance(step, int) else step for step in path)
        if shape in seen or (
            name == "training-job.yaml" and path[0] == "metadata"
        ):  # there a CRD's metadata is the API server's to check
            continue
        seen.add(shape)
        for validator in validators(name):
            assert not validator.is_valid(misspelled(objects[name], path)), path
    assert len(seen) > 40


def test_nothing_that_hera_defaults_stands_in_the_files(objects):
    text = json.dumps(objects)
    assert "null" not in text and "creationTimestamp" not in text and '"status"' not in text
