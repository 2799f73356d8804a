"""values.yaml says what each value means; values.schema.json refuses what is none."""

import copy
import json
import re

import pytest
import yaml

from synaug.run.stages import STAGES
from tests.helm.chart import CHART, SCENARIOS, STORE, helm, template

VALUES = CHART / "values.yaml"
# kinds of pods that are no stage: train's workers, the one-pod workflows, the exit handler, `helm test`
HELPERS = {"plan", "import", "preview", "fetch", "finish", "worker", "test"}
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def leaves(node: yaml.Node, path: str = "") -> list[tuple[str, int]]:
    """(path, line) of every key whose value is no block of further keys."""
    found = []
    for key, value in node.value:
        here = f"{path}.{key.value}".lstrip(".")
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        found += leaves(value, here) if block and not here.endswith(".resources") else [(here, key.start_mark.line)]
    return found


def test_every_value_has_a_comment_of_its_own():
    lines = VALUES.read_text().splitlines()
    found = leaves(yaml.compose(VALUES.read_text()))
    assert len(found) > 70
    bare = [path for path, line in found if not re.match(r"\s*# \S", lines[line - 1])]
    assert bare == []


def test_pods_has_a_kind_for_every_stage_and_helper_and_no_other():
    kinds = yaml.safe_load(VALUES.read_text())["pods"]
    assert set(kinds) == {"default", *STAGES, *HELPERS}
    fanned = [name for name in kinds if name in STAGES and "gpus" in kinds[name]]
    assert fanned == ["prompts", "images", "evaluate"], "train has its GPUs as `worker`; others compute nothing"


def test_the_schema_knows_every_value():
    schema, values = resolved(SCHEMA), yaml.safe_load(VALUES.read_text())

    def unlike(schema: dict, values: dict, path: str = "") -> list[str]:
        """List paths that only one of both has, but for optional ones of pods, explained once for all kinds."""
        found = []
        for key in {*schema.get("properties", ()), *values}:
            here, known = f"{path}.{key}".lstrip("."), schema.get("properties", {}).get(key)
            optional = path.startswith("pods.") and known is not None
            if (known is None or key not in values) and not optional:
                found.append(here)
            elif (
                known
                and isinstance(values.get(key), dict)
                and "properties" in known
                and not here.endswith(".resources")
            ):
                found += unlike(known, values[key], here)
        return found

    schema["properties"].pop("global")  # helm's own
    assert unlike(schema, values) == []


def test_the_schema_leaves_no_object_open():
    def loose(schema: dict, path: str) -> list[str]:
        found = []
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            more = schema.get("additionalProperties")
            found += (
                [path] if not isinstance(more, dict) or more.get("type") not in ("string", ["string", "number"]) else []
            )
        for name, each in schema.get("properties", {}).items():
            found += loose(each, f"{path}.{name}".lstrip("."))
        return found + (loose(schema["items"], f"{path}[]") if "items" in schema else [])

    assert loose(resolved(SCHEMA), "") == ["global"]


def resolved(schema):
    """With what $ref points to in its place."""
    if isinstance(schema, list):
        return [resolved(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    return {key: resolved(value) for key, value in schema.items() if key != "$defs"}


@pytest.mark.parametrize(
    ("misspelled", "field"),
    [
        ({"stor": {"url": "s3://bucket"}}, "stor"),
        ({"store": {"ulr": "s3://bucket"}}, "ulr"),
        ({"image": {"control": {"repo": "x"}}}, "repo"),
        ({"pods": {"image": {}}}, "image"),
        ({"pods": {"images": {"resource": {}}}}, "resource"),
        ({"pods": {"index": {"gpus": 1}}}, "gpus"),
        ({"pods": {"default": {"resources": {"request": {}}}}}, "request"),
        ({"pods": {"images": {"env": [{"name": "A", "val": "1"}]}}}, "val"),
        ({"pods": {"images": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}}}, "hostPath"),
        ({"gpu": {"tolerations": [{"keys": "x"}]}}, "keys"),
        ({"limits": {"gpu": 1}}, "gpu"),
        ({"llm": {"keySecret": {"token": "sk-1"}}}, "token"),
        ({"metrics": {"podMonitor": {"enable": True}}}, "enable"),
        ({"serviceAccounts": {"stages": {}}}, "stages"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_a_misspelled_value_is_refused_by_name(misspelled, field):
    done = template(merged(STORE, misspelled))
    assert done.returncode == 1
    assert f"additional properties '{field}' not allowed" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"store": {"url": "gs://bucket/prefix"}}, "/store/url"),
        ({"store": {"endpoint": "minio:9000"}}, "/store/endpoint"),
        ({"image": {"digest": "3b1c"}}, "/image/digest"),
        ({"image": {"repository": "Registry/Synaug"}}, "/image/repository"),
        ({"models": {"path": "models"}}, "/models/path"),
        ({"gpu": {"resource": "gpu"}}, "/gpu/resource"),
        ({"gpu": {"device": "cpu"}}, "/gpu/device"),
        ({"training": {"workers": 0}}, "/training/workers"),
        ({"training": {"sharedMemory": "8"}}, "/training/sharedMemory"),
        ({"limits": {"gpus": "64"}}, "/limits/gpus"),
        ({"pods": {"images": {"deadlineHours": 0}}}, "/pods/images/deadlineHours"),
        (
            {"pods": {"default": {"resources": {"limits": {"memory": "2 GiB"}}}}},
            "/pods/default/resources/limits/memory",
        ),
        ({"pods": {"images": {"gpus": 2}}}, "/pods/images/gpus"),
        ({"submitters": "team"}, "/submitters"),
        ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_a_value_of_the_wrong_form_is_refused_with_its_place(wrong, path):
    done = template(merged(STORE, wrong))
    assert done.returncode == 1
    assert f"at '{path}'" in done.stderr


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_is_short_and_only_what_differs(path):
    assert len(path.read_text().splitlines()) <= 30
    assert same(yaml.safe_load(path.read_text()), yaml.safe_load(VALUES.read_text())) == []


def same(given: dict, defaults: dict, path: str = "") -> list[str]:
    """Paths of values that are what they would be anyway."""
    found = []
    for key, value in given.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and isinstance(defaults.get(key), dict):
            found += same(value, defaults[key], here)
        elif key in defaults and defaults[key] == value:
            found.append(here)
    return found


@pytest.mark.parametrize("path", [None, *SCENARIOS], ids=lambda path: path.stem if path else "defaults")
def test_helm_lint_finds_nothing(path):
    more = ["--values", str(path)] if path else []
    done = helm("lint", "--strict", "--kube-version", "1.34.4", str(CHART), *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout


def merged(base: dict, more: dict) -> dict:
    result = copy.deepcopy(base)
    for key, value in more.items():
        result[key] = (
            merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
        )
    return result
