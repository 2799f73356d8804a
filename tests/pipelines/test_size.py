"""The Workflow object of the largest run stays far below what etcd takes (1.5 MB)."""

import random
import string

import pytest

from pipelines.api import workflow_request
from pipelines.workflow import render
from tests.pipelines import schema, simulated

KIB = 1024
LIMIT = 512 * KIB
ALWAYS = {
    "displayName",
    "finishedAt",
    "id",
    "name",
    "phase",
    "progress",
    "resourcesDuration",
    "startedAt",
    "templateName",
    "templateScope",
    "type",
}
SEEN = {  # further fields of the nodes of a run on the development cluster, Argo 3.7.18
    "DAG": {"boundaryID", "children", "inputs", "outboundNodes"},
    "TaskGroup": {"boundaryID", "children", "nodeFlag"},
    "Retry": {"boundaryID", "children", "inputs", "outputs"},
    "Pod": {"boundaryID", "children", "hostNodeName", "inputs", "nodeFlag", "outputs", "taskResultSynced"},
    "failed Pod": {"boundaryID", "hostNodeName", "inputs", "message", "nodeFlag", "outputs", "taskResultSynced"},
}


@pytest.fixture(scope="module")
def spec():
    """As the chart completes it: environment, resources, selectors and volumes of each pod."""
    made = render.objects()["run.yaml"]["spec"]
    for template in made["templates"]:
        if "container" in template:
            template["container"]["env"] += [
                {"name": f"SYNAUG_SETTING_{n}", "value": "a value of some length"} for n in range(12)
            ]
            template["container"]["resources"] = {
                "limits": {"memory": "64Gi", "nvidia.com/gpu": "1"},
                "requests": {"cpu": "8"},
            }
            template["volumes"] = [
                {"name": f"volume-{n}", "persistentVolumeClaim": {"claimName": "weights"}} for n in range(3)
            ]
            template["nodeSelector"] = {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
            template["tolerations"] = [
                {"key": f"key-{n}", "operator": "Exists", "effect": "NoExecute"} for n in range(4)
            ]
    return made


@pytest.fixture(scope="module")
def config():
    """A configuration of full size: a class list with names and glosses, in words that hardly repeat."""
    draw = random.Random(0)
    words = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 11))) for _ in range(5000)]

    def line() -> str:
        number, name, gloss = draw.randrange(10**8), draw.choice(words), " ".join(draw.choices(words, k=9))
        return f"- {{id: n{number:08d}, names: [{name}], gloss: {gloss}}}\n"

    return "".join(line() for _ in range(1000))[: workflow_request.CONFIG_BYTES]


def whole(spec, config, **more):
    run = simulated.Run(spec, config, **more)
    body = workflow_request.workflow("run", run.name, {"run": "imagenet-6x", "config": config}, run="imagenet-6x")
    return run, simulated.workflow(spec, body, run)


def test_the_simulation_has_the_nodes_of_a_run(spec):
    run, made = whole(spec, "scale: 1x\n", shards=2, retried=0.0)
    kinds = {}
    for node in run.nodes.values():
        kinds.setdefault(node["type"], []).append(node["name"].removeprefix(f"{run.name}."))
    assert {"shards.shard(0:000)", "shards.shard(1:001)", "trainings", "evaluations"} < set(kinds["DAG"])
    assert kinds["TaskGroup"] == ["shards.shard", "trainings.training", "evaluations.evaluate"]
    assert {"shards.shard(0:000).images(0)", "trainings.training(0:arm:naive-1x,seed:0).train(0)", "onExit(0)"} < set(
        kinds["Pod"]
    )
    reached = {child for node in run.nodes.values() for child in node.get("children", ())}
    assert reached | {run.name, run.id(f"{run.name}.onExit")} == set(run.nodes)
    assert schema.mistakes(schema.argo("Workflow"), made) == []


def test_simulated_nodes_have_the_fields_of_real_ones(spec):
    run, _ = whole(spec, "scale: 1x\n", shards=20)
    found = {}
    for node in run.nodes.values():
        if ".shards.shard" in node["name"]:
            found.setdefault("failed Pod" if node["phase"] == "Failed" else node["type"], []).append(set(node))
    assert {kind: set.union(*fields) for kind, fields in found.items()} == {
        kind: ALWAYS | fields for kind, fields in SEEN.items()
    }


@pytest.mark.parametrize("retried, limit", [(0.3, LIMIT), (1.0, 2 * LIMIT)])
def test_500_shards_with_retried_pods_and_a_full_configuration_fit(spec, config, retried, limit):
    run, made = whole(spec, config, retried=retried)
    pods = sum(node["type"] == "Pod" for node in run.nodes.values())
    packed = simulated.packed(made)
    size, packed_size = simulated.size(made) / KIB, simulated.size(packed) / KIB
    print(f"{pods} pods, {len(run.nodes)} nodes: {size:.0f} KiB, packed {packed_size:.0f} KiB")
    assert pods > 1000 * (1 + 0.9 * retried)
    assert "compressedNodes" in packed["status"]
    assert simulated.size(packed) < limit


def test_what_is_never_packed_leaves_room_for_the_nodes(spec, config):
    _, made = whole(spec, config, shards=1)
    rest = made | {"status": {key: value for key, value in made["status"].items() if key != "nodes"}}
    assert simulated.size(rest) < LIMIT / 2
