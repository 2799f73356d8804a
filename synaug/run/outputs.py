"""Small results of a stage for whatever started it: files in the folder that SYNAUG_OUTPUTS names.

They become a workflow's parameters.
"""

import json
import os
from pathlib import Path
from typing import Any

from synaug.config import Config
from synaug.run.plan import Plan
from synaug.run.stages import STAGES, Task
from synaug.run.status import State

FOLDER = "SYNAUG_OUTPUTS"
TERMINATION = "SYNAUG_TERMINATION_LOG"
TERMINATION_BYTES = 4096  # what the kubelet keeps of it


def write(name: str, value: Any) -> None:
    """Write `value`, or what it returns, as JSON to SYNAUG_OUTPUTS/name; nothing without that variable."""
    if folder := os.environ.get(FOLDER):
        value, path = value() if callable(value) else value, Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def write_plan(run: str, config: Config, plan: Plan, state: State, text: str) -> None:
    """Write what is left, as lists to fan out over, and the estimate.

    The lists are those that the table of stages names: class shards with anything to make as `017`, arms and seeds as
    {"arm", "seed"}, both text. An arm still to be trained is to be evaluated too.
    """
    left: dict[str, list[Task]] = {}
    for name, stage in STAGES.items():
        if stage.fan_out:
            units = state.units_left(name)
            left.setdefault(stage.fan_out, []).extend(
                task.task for task in state.stages[name].tasks if task.task in units
            )
    for name, tasks in left.items():
        write(name, _fan_out(tasks))
    assert plan.estimate is not None
    hours = plan.estimate.wall_hours
    stages = {
        name: {"done": stage.done, "total": stage.total, "unit": stage.unit, "tasks": len(stage.tasks)}
        for name, stage in state.stages.items()
    }
    facts = {
        "run": run,
        "digest": plan.digest,
        "seconds": None if hours is None else round(hours * 3600, 1),
        "limit_cost": config.limits.cost,
        "stages": stages,
        "text": text,
    }
    write("estimate", plan.estimate.model_dump(mode="json") | facts)


def _fan_out(tasks: list[Task]) -> list[str] | list[dict[str, str]]:
    """Shards once each, in order, though several stages of one may be left; arms and seeds as they come."""
    shards = sorted({task.shard for task in tasks if task.shard is not None})
    if shards:
        return [f"{shard:03d}" for shard in shards]
    return [{"arm": task.arm, "seed": str(task.seed)} for task in tasks if task.arm is not None]


def leave_line(line: str) -> None:
    """Write the one line of a failure where Kubernetes reads it: the pod's status carries it.

    Does nothing outside a pod.
    """
    path = os.environ.get(TERMINATION) or ("/dev/termination-log" if "KUBERNETES_SERVICE_HOST" in os.environ else None)
    if path is None:
        return
    try:
        Path(path).write_text(line.encode()[:TERMINATION_BYTES].decode(errors="ignore"))
    except OSError:  # the line is in the log too; an error about it would hide it
        return
