"""A run's Workflow object as Argo 3.7.18 leaves it, without a cluster: nodes with retries, and how they are packed."""

import base64
import gzip
import json
import random
from typing import Any

MAX_SIZE = 1024 * 1024  # MAX_WORKFLOW_SIZE of the controller: above it the nodes are packed
ARMS = [f"{kind}-{scale}x" for kind in ("naive", "auxbn") for scale in (1, 2, 6)] + ["real", "real-half"]
STARTED, FINISHED = "2026-11-24T12:00:{:02d}Z", "2026-11-24T13:07:{:02d}Z"
SUMMARY = (
    '{"images":12800,"rejected":{"black":11,"flagged":83,"too_small":2},"lost":3,"seconds":3541.7,"rate":3.61,'
    '"device":"NVIDIA H100 80GB HBM3"}'
)
REASON = (
    "main: Error (exit code 170): s3://imagenet-synthetic-{:05d}/synaug did not answer for 5 minutes (503 Slow Down); "
    "run again"
)


class Run:
    """The nodes of a run that has ended. retried: the share of pods that were tried twice."""

    def __init__(
        self,
        spec: dict[str, Any],
        config: str,
        *,
        name: str = "imagenet-6x-4f2a",
        shards: int = 500,
        retried: float = 0.3,
    ):
        self.templates = {template["name"]: template for template in spec["templates"]}
        self.name, self.config, self.retried, self.nodes = name, config, retried, {}
        self.random = random.Random(0)
        left = {
            "shards": json.dumps([f"{n:03d}" for n in range(shards)]),
            "trainings": json.dumps([{"arm": arm, "seed": seed} for arm in ARMS for seed in "012"]),
        }
        left["evaluations"] = left["trainings"]
        self.values = left | {"estimate": json.dumps({"text": "images 7,687,002 in 500 class shards\n" * 40})}
        self.dag("run", name, None, {})
        self.retry("finish", f"{name}.onExit", None, {})

    def id(self, name: str) -> str:
        """The name and FNV-1a of the node's name (WorkflowStatus.NodeID)."""
        if name == self.name:
            return name
        value = 0x811C9DC5
        for byte in name.encode():
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
        return f"{self.name}-{value}"

    def node(
        self, kind: str, name: str, boundary: str | None, template: str, inputs: dict[str, str], **more
    ) -> dict[str, Any]:
        second = self.random.randrange(60)
        shown = name.removeprefix(f"{boundary}.") if boundary else name
        node = (
            {
                "id": self.id(name),
                "name": name,
                "displayName": shown,
                "type": kind,
                "templateName": template,
                "templateScope": "local/",
                "phase": "Succeeded",
                "startedAt": STARTED.format(second),
                "finishedAt": FINISHED.format(second),
                "progress": "12800/12800",
                "resourcesDuration": {
                    "cpu": self.random.randrange(10**5),
                    "memory": self.random.randrange(10**6),
                    "nvidia.com/gpu": 3541,
                },
            }
            | ({"boundaryID": self.id(boundary)} if boundary else {})
            | more
        )
        if inputs:
            node["inputs"] = {"parameters": [{"name": key, "value": value} for key, value in inputs.items()]}
        self.nodes[node["id"]] = node
        return node

    def retry(self, template: str, name: str, boundary: str | None, inputs: dict[str, str]) -> tuple[str, list[str]]:
        """A Retry node and its Pods; the ids that lead in and out."""
        tries = 2 if self.random.random() < self.retried else 1
        parent = self.node("Retry", name, boundary, template, inputs)
        shown = self.templates[template].get("annotations", {}).get("workflows.argoproj.io/display-name")
        for key, value in inputs.items():
            shown = shown and shown.replace(f"{{{{inputs.parameters.{key}}}}}", value)
        parent["displayName"] = shown or parent["displayName"]
        for n in range(tries):
            pod = self.node(
                "Pod", f"{name}({n})", boundary, template, inputs, nodeFlag={"retried": True}, taskResultSynced=True
            )
            pod["hostNodeName"] = (
                f"gke-synaug-h100-pool-{self.random.getrandbits(32):08x}-{self.random.getrandbits(20):04x}"
            )
            pod["outputs"] = {"exitCode": "0"}
            if n < tries - 1:
                pod |= {"phase": "Failed", "message": REASON.format(self.random.randrange(10**5))}
                pod["outputs"]["exitCode"] = "170"
            written = [
                parameter | {"value": self.values.get(parameter["name"], SUMMARY)}
                for parameter in self.templates[template].get("outputs", {}).get("parameters", ())
            ]
            pod["outputs"] |= {"parameters": written} if written else {}
            parent.setdefault("children", []).append(pod["id"])
        parent["outputs"] = pod["outputs"]
        for raw in self.templates[template].get("inputs", {}).get("artifacts", ()):
            filled = {"artifacts": [raw | {"raw": {"data": self.config}}]}
            for node in (parent, *(self.nodes[child] for child in parent["children"])):
                node["inputs"] = node.get("inputs", {}) | filled
        return parent["id"], [pod["id"]]

    def dag(self, template: str, name: str, boundary: str | None, inputs: dict[str, str]) -> tuple[str, list[str]]:
        node = self.node("DAG", name, boundary, template, inputs)
        before = None
        for task in self.templates[template]["dag"]["tasks"]:  # each has at most one that it depends on, the one before
            first, out = self.task(task, name, inputs)
            for parent in [node] if before is None else [self.nodes[leads] for leads in before]:
                parent.setdefault("children", []).append(first)
            before = out
        node["outboundNodes"] = before
        return node["id"], before

    def task(self, task: dict[str, Any], boundary: str, inputs: dict[str, str]) -> tuple[str, list[str]]:
        given = {parameter["name"]: parameter["value"] for parameter in task.get("arguments", {}).get("parameters", ())}
        execute = self.dag if "dag" in self.templates[task["template"]] else self.retry
        name = f"{boundary}.{task['name']}"
        if "withParam" not in task:
            filled = {key: inputs.get(key) or self.values[task["name"]] for key in given}
            return execute(task["template"], name, boundary, filled)
        group = self.node("TaskGroup", name, boundary, task["template"], {}, nodeFlag={})
        out = []
        for n, item in enumerate(json.loads(inputs["left"])):
            each = item if isinstance(item, dict) else dict.fromkeys(given, item)
            called = ",".join(f"{key}:{value}" for key, value in item.items()) if isinstance(item, dict) else item
            first, leads = execute(task["template"], f"{name}({n}:{called})", boundary, each)
            group.setdefault("children", []).append(first)
            out += leads
        return group["id"], out


def workflow(spec: dict[str, Any], submission: dict[str, Any], run: Run) -> dict[str, Any]:
    """Make the whole object. spec: of the WorkflowTemplate.

    Argo keeps it, with the arguments in it, in status.storedWorkflowTemplateSpec, and each of its templates, with the
    pods' metadata in it, once more in status.storedTemplates.
    """
    stored = spec | submission["spec"]
    name = submission["spec"]["workflowTemplateRef"]["name"]
    templates = {
        f"namespaced/{name}/{each['name']}": each
        | {
            "inputs": each.get("inputs", {}),
            "outputs": each.get("outputs", {}),
            "metadata": {
                "labels": spec["podMetadata"]["labels"] | each.get("metadata", {}).get("labels", {}),
            },
        }
        for each in spec["templates"]
    }
    return submission | {
        "status": {
            "phase": "Succeeded",
            "startedAt": STARTED.format(0),
            "finishedAt": FINISHED.format(0),
            "progress": "6400000/6400000",
            "conditions": [{"type": "PodRunning", "status": "False"}, {"type": "Completed", "status": "True"}],
            "resourcesDuration": {"cpu": 10**8, "memory": 10**9, "nvidia.com/gpu": 10**7},
            "artifactRepositoryRef": {"default": True, "artifactRepository": {}},
            "storedTemplates": templates,
            "storedWorkflowTemplateSpec": stored,
            "nodes": run.nodes,
        },
    }


def size(made: dict[str, Any]) -> int:
    return len(json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode())


def packed(made: dict[str, Any]) -> dict[str, Any]:
    """Pack as packer.CompressWorkflowIfNeeded: above MAX_SIZE in all, the nodes become gzip in base64.

    Nothing else does.

    Measured on an API server with the full CRDs: its managedFields add 1.4 KB to a packed object, and 440 bytes for
    each node while nodes are not packed; the controller counts those, and so packs the earlier.
    """
    if size(made) <= MAX_SIZE:
        return made
    nodes = json.dumps(made["status"]["nodes"], separators=(",", ":"), ensure_ascii=False).encode()
    status = {key: value for key, value in made["status"].items() if key != "nodes"}
    return made | {"status": status | {"compressedNodes": base64.b64encode(gzip.compress(nodes, 6)).decode()}}
