"""A Workflow's nodes as tasks: one stage and unit each, with its attempts. Pure.

Reads Argo 3.7's and 4's status, packed or not.
"""

import base64
import gzip
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from synaug.run.stages import STAGES

PODS = ("plan", *STAGES, "finish", "import", "preview", "fetch")  # names of templates with one pod
EXIT_CODE = re.compile(r"\(exit code (-?\d+)\)")
# of a Retry node: why no other attempt comes
NO_RETRY = re.compile(r"retryStrategy\.expression evaluated to false|No more retries left")
RETRIED = (-1, 64, 137, 143, 170)  # exit codes that another attempt may follow
# `main: Error (exit code 4): ` before the stage's own line
HEAD = re.compile(r"^(?:\w[\w-]*: )?\w* ?\(exit code -?\d+\)(?:: )?")
# argoexec's own lines in the main container's log: 3.7 writes level=info, 4 level=INFO
EXECUTORS = re.compile(r'time=(?:"[^"]*"|\S+) level=\w+ msg=')
OOM = re.compile(r"(?:\w[\w-]*: )?OOMKilled \(exit code 137\)")
SHUTDOWN = "workflow shutdown with strategy"  # in the message of each pod that `make stop` ended
LOST = -1  # Argo's exit code of a pod that is gone


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One pod.

    phase: Argo's; code: its exit code, None while it runs; line: its own reason; done, total: of its
    ARGO_PROGRESS_FILE. created: Argo calls it startedAt, but it is when the pod was made, which may then wait for
    hours. gpu_seconds: of its container, as Argo measured them at its end. out_of_memory: the kernel killed it for
    that.
    """

    id: str
    phase: str
    code: int | None
    line: str
    created: datetime | None
    ended: datetime | None
    done: int = 0
    total: int = 0
    summary: dict = field(default_factory=dict)
    gpu_seconds: float | None = None
    out_of_memory: bool = False

    @property
    def running(self) -> bool:
        """Say whether its containers run: one that waits for a node is Pending, while its task may be Running."""
        return self.phase == "Running"


class PodProgress(NamedTuple):
    """Units of a pod's work, of its ARGO_PROGRESS_FILE."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class NodeTask:
    """A stage's unit of work in a Workflow. unit: `017`, `auxbn-1x-0` or empty; phase: Argo's, of all its attempts."""

    stage: str
    unit: str
    phase: str
    inputs: dict[str, str]
    attempts: list[Attempt]
    message: str

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.unit}" if self.unit else self.stage

    @property
    def failed(self) -> bool:
        """Say whether it failed by itself: not because the Workflow was stopped."""
        return self.phase in ("Failed", "Error") and not self.stopped

    @property
    def running(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].running

    @property
    def stopped(self) -> bool:
        return SHUTDOWN in self.message or (bool(self.attempts) and SHUTDOWN in self.attempts[-1].line)

    @property
    def code(self) -> int | None:
        return self.attempts[-1].code if self.attempts else None

    @property
    def out_of_memory(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].out_of_memory

    @property
    def ended(self) -> datetime | None:
        return self.attempts[-1].ended if self.attempts else None

    @property
    def line(self) -> str:
        """Say why it failed, in the stage's own words where it left some."""
        return (self.attempts[-1].line if self.attempts else "") or NO_RETRY.sub("", own_words(self.message)).strip()


def nodes_of(workflow: dict) -> dict[str, dict]:
    """Read a Workflow's nodes, by id. Above 1 MiB the controller packs them: gzip in base64."""
    status = workflow.get("status", {})
    if packed := status.get("compressedNodes"):
        return json.loads(gzip.decompress(base64.b64decode(packed)))
    return status.get("nodes") or {}


def tasks(workflow: dict) -> list[NodeTask]:
    """List the tasks of every stage that has begun or waits for a pod, in the order of the nodes' names."""
    nodes = nodes_of(workflow)
    retried = {child for node in nodes.values() if node["type"] == "Retry" for child in node.get("children", [])}
    found = []
    for node in sorted(nodes.values(), key=lambda node: node["name"]):
        stage, kind = node.get("templateName", ""), node["type"]
        if stage not in PODS or kind not in ("Retry", "Pod") or (kind == "Pod" and node["id"] in retried):
            continue
        if kind == "Retry":
            # a retried node's children hold what comes after it too
            children = [nodes[child] for child in node.get("children", []) if child in nodes]
            pods = [child for child in children if child["name"].startswith(f"{node['name']}(")]
        else:
            pods = [node]
        found.append(_task(stage, node, sorted(pods, key=lambda pod: (len(pod["name"]), pod["name"]))))
    return found


def _task(stage: str, node: dict, pods: list[dict]) -> NodeTask:
    inputs = next((values for each in (node, *pods) if (values := _parameters(each.get("inputs")))), {})
    unit = "-".join(inputs[name] for name in ("shard", "arm", "seed") if name in inputs)
    return NodeTask(
        stage=stage,
        unit=unit,
        phase=node.get("phase", "Pending"),
        inputs=inputs,
        attempts=[attempt(pod) for pod in pods],
        message=node.get("message", ""),
    )


def attempt(pod: dict) -> Attempt:
    """Read a Pod node."""
    message, phase = pod.get("message", ""), pod.get("phase", "Pending")
    written = progress(pod)
    summary = _parameters(pod.get("outputs")).get("summary")
    return Attempt(
        id=pod["id"],
        phase=phase,
        code=_code(pod, phase, message),
        line=own_words(message),
        created=moment(pod.get("startedAt")),
        ended=moment(pod.get("finishedAt")),
        done=written.done,
        total=written.total,
        summary=json.loads(summary) if summary else {},
        gpu_seconds=_gpu_seconds(pod.get("resourcesDuration")),
        out_of_memory=OOM.match(message) is not None,
    )


def _gpu_seconds(durations: dict[str, int] | None) -> float | None:
    """From Argo's resourcesDuration: seconds of each container times what it asks for.

    None for a pod that was gone, or asked for none.
    """
    found = [seconds for resource, seconds in (durations or {}).items() if resource.endswith("/gpu")]
    return float(sum(found)) if found else None


def _code(pod: dict, phase: str, message: str) -> int | None:
    """From the message: `main` may have left none though argoexec ended with a code of its own."""
    if phase in ("Pending", "Running"):
        return None
    if found := EXIT_CODE.search(message):
        return int(found[1])
    if (code := pod.get("outputs", {}).get("exitCode")) is not None:
        return int(code)
    return 0 if phase == "Succeeded" else LOST


def progress(node: dict) -> PodProgress:
    """Read a pod's progress; 0 of 0 where it wrote none: Argo then counts the pod itself, as 0/1 or 1/1."""
    done, _, total = node.get("progress", "").partition("/")
    if not total or total == "1":
        return PodProgress(0, 0)
    return PodProgress(int(done), int(total))


def own_words(message: str) -> str:
    """Return a node's message without what Argo puts before it."""
    return " ".join(HEAD.sub("", message).split())


def is_executors(line: str) -> bool:
    """Say whether a line of a main container's log is argoexec's, not the stage's."""
    return EXECUTORS.match(line) is not None


def last_own_line(log: str) -> str:
    """Return the last line of a main container's log that is the stage's own; empty where there is none."""
    own = [line.strip() for line in log.splitlines() if line.strip() and not is_executors(line)]
    return own[-1] if own else ""


def output(workflow: dict, stage: str, name: str) -> Any:
    """Read an output parameter of a stage's task, parsed as JSON; None before it is there."""
    for node in nodes_of(workflow).values():
        if node.get("templateName") == stage and node["type"] in ("Retry", "Pod"):
            value = _parameters(node.get("outputs")).get(name)
            if value:
                return json.loads(value)
    return None


def _parameters(section: dict | None) -> dict[str, str]:
    return {p["name"]: str(p["value"]) for p in (section or {}).get("parameters", []) if p.get("value") is not None}


def moment(text: str | None) -> datetime | None:
    """Read a time of Argo's."""
    return datetime.fromisoformat(text) if text else None
