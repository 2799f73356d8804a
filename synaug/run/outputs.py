"""Small results of a stage for whatever started it: files in the folder that SYNAUG_OUTPUTS names, which become a workflow's parameters."""

import json
import os
from pathlib import Path
from typing import Any

from synaug.config import Config
from synaug.run.plan import Plan
from synaug.run.status import State

FOLDER = "SYNAUG_OUTPUTS"
TERMINATION = "SYNAUG_TERMINATION_LOG"
TERMINATION_BYTES = 4096  # what the kubelet keeps of it


def write(name: str, value: Any) -> None:
    """`value`, or what it returns, as JSON in SYNAUG_OUTPUTS/name; nothing without that variable."""
    if folder := os.environ.get(FOLDER):
        value, path = value() if callable(value) else value, Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def write_plan(run: str, config: Config, plan: Plan, state: State, text: str) -> None:
    """What is left, as lists to fan out over, and the estimate.

    shards: class shards with prompts or images to make, `017`. trainings, evaluations: {"arm", "seed"}, both text; an arm still to be
    trained is to be evaluated too.
    """
    left = {name: [task.task for task in stage.tasks if not task.finished] for name, stage in state.stages.items()}
    shards = sorted({task.shard for task in left["prompts"] + left["images"]})
    trainings = [(task.arm, task.seed) for task in left["train"]]
    again = {(task.arm, task.seed) for task in left["evaluate"]}.union(trainings)
    evaluations = [key for task in state.stages["evaluate"].tasks if (key := (task.task.arm, task.task.seed)) in again]
    write("shards", [f"{n:03d}" for n in shards])
    write("trainings", [{"arm": arm, "seed": str(seed)} for arm, seed in trainings])
    write("evaluations", [{"arm": arm, "seed": str(seed)} for arm, seed in evaluations])
    forecast = plan.estimate
    seconds = None if forecast["wall_hours"] is None else round(forecast["wall_hours"] * 3600, 1)
    stages = {
        name: {"done": stage.done, "total": stage.total, "unit": stage.unit, "tasks": len(stage.tasks)}
        for name, stage in state.stages.items()
    }
    facts = {
        "run": run,
        "digest": plan.digest,
        "seconds": seconds,
        "limit_cost": config.limits.cost,
        "stages": stages,
        "text": text,
    }
    write("estimate", forecast | facts)


def leave_line(line: str) -> None:
    """The one line of a failure where Kubernetes reads it: the pod's status carries it. Nothing outside a pod."""
    path = os.environ.get(TERMINATION) or ("/dev/termination-log" if "KUBERNETES_SERVICE_HOST" in os.environ else None)
    if path is None:
        return
    try:
        Path(path).write_text(line.encode()[:TERMINATION_BYTES].decode(errors="ignore"))
    except OSError:  # the line stands in the log; an error about it would hide it
        return
