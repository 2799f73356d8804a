"""Workflow objects as Argo 3.7 leaves them, built from what a test wants to say."""

import json
from datetime import datetime, timedelta

STARTED = "2026-11-24T04:00:00Z"


def plan_outputs(*, shards=(), trainings=(), evaluations=(), estimate: dict | None = None) -> dict:
    values = {
        "shards": list(shards),
        "trainings": list(trainings),
        "evaluations": list(evaluations),
        "estimate": estimate,
    }
    return {
        "parameters": [
            {"name": name, "value": json.dumps(value)} for name, value in values.items() if value is not None
        ]
    }


def estimate(**changes) -> dict:
    """As synaug.run.outputs writes it."""
    stages = {
        "prompts": {"done": 0, "total": 10, "unit": "class", "tasks": 2},
        "images": {"done": 0, "total": 160, "unit": "image", "tasks": 2},
        "index": {"done": 0, "total": 1, "unit": "index", "tasks": 1},
        "train": {"done": 0, "total": 400, "unit": "step", "tasks": 2},
        "evaluate": {"done": 0, "total": 2, "unit": "evaluation", "tasks": 2},
        "report": {"done": 0, "total": 1, "unit": "report", "tasks": 1},
    }
    values = {
        "scale": 1,
        "multiples": [1],
        "images": 160,
        "images_left": 160,
        "tars": 4,
        "bytes": None,
        "rate": None,
        "rate_source": "unmeasured",
        "gpus": 1,
        "gpu_hours": None,
        "wall_hours": None,
        "longest_shard_hours": None,
        "price": None,
        "cost": None,
        "run": "first",
        "whole": whole(),
        "digest": "d" * 64,
        "seconds": None,
        "limit_cost": None,
        "stages": stages,
        "text": "run           first, scale 1x",
    }
    return values | changes


def whole(cost: float | None = None, price: float | None = None, unmeasured: tuple[str, ...] = ()) -> dict:
    """As synaug.run.forecast makes it; cost is that of the measured stages."""
    return {
        "seconds": dict.fromkeys(("prompts", "images", "train", "evaluate")),
        "wall_seconds": None,
        "workers": 1,
        "gpu_hours": None,
        "price": price,
        "cost": None if unmeasured else cost,
        "cost_at_least": cost,
        "unmeasured": list(unmeasured),
    }


class Nodes:
    """Nodes of a Workflow: `add` appends what a pod template leaves, a Retry node and a Pod node for each attempt."""

    def __init__(self, workflow: str):
        self.workflow, self.made = workflow, {}

    def add(
        self,
        stage: str,
        phase: str,
        *attempts: dict,
        inputs: dict | None = None,
        message: str = "",
        outputs: dict | None = None,
    ):
        unit = "-".join((inputs or {}).values())
        name = f"{self.workflow}.{stage}{f'({unit})' if unit else ''}"
        given = {"inputs": {"parameters": [{"name": k, "value": v} for k, v in inputs.items()]}} if inputs else {}
        ids = [f"{self.workflow}-{stage}-{unit}-{n}" for n in range(len(attempts))]
        node = {
            "id": name,
            "name": name,
            "type": "Retry",
            "templateName": stage,
            "phase": phase,
            "children": ids,
            "startedAt": STARTED,
        }
        self.made[name] = (
            node | given | ({"message": message} if message else {}) | ({"outputs": outputs} if outputs else {})
        )
        for n, (pod_id, attempt) in enumerate(zip(ids, attempts, strict=True)):
            pod = {"id": pod_id, "name": f"{name}({n})", "type": "Pod", "templateName": stage, "startedAt": STARTED}
            self.made[pod_id] = pod | {"nodeFlag": {"retried": True}} | given | attempt
        return self


def attempt(
    phase: str = "Running", *, exit: int | None = None, line: str = "", summary: dict | None = None, **more
) -> dict:
    """Make a Pod node; exit None of a failed one: a pod that is gone.

    One that has ended took as long as its summary says, else a minute.
    """
    made = {"phase": phase, "progress": "0/1"}
    if phase not in ("Pending", "Running"):
        ended = datetime.fromisoformat(STARTED) + timedelta(seconds=round((summary or {}).get("seconds", 60)))
        made["finishedAt"] = ended.isoformat().replace("+00:00", "Z")
    if phase in ("Failed", "Error"):
        said = f"main: Error (exit code {exit})" + (f": {line}" if line else "")
        made["message"] = "pod deleted" if exit is None else said
    if phase == "Succeeded" or exit is not None:
        made["outputs"] = {"exitCode": str(exit or 0)}
    if summary is not None:
        made["outputs"]["parameters"] = [{"name": "summary", "value": json.dumps(summary)}]
    return made | more


def workflow(
    name: str, phase: str, nodes: Nodes, *, run: str = "first", template: str = "run", gpus: int = 64, **status
) -> dict:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {"synaug/run": run}, "resourceVersion": "1", "creationTimestamp": STARTED},
        "spec": {"workflowTemplateRef": {"name": f"synaug-{template}"}},
        "status": {
            "phase": phase,
            "startedAt": STARTED,
            "nodes": nodes.made,
            "storedWorkflowTemplateSpec": {"templates": [{"name": "shards", "parallelism": gpus}]},
        }
        | status,
    }
