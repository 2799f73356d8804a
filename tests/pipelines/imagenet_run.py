"""ImageNet at 6x after 6 h 12 m: 170 of 500 class shards made, 61 at work, 3 that wait, one failed."""

from datetime import UTC, datetime, timedelta

from pipelines.status.pods import NODE_ANNOTATION
from pipelines.status.view import Snapshot
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, workflow

NAME = "imagenet-6x-4f2a"
STARTED = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
NOW = STARTED + timedelta(hours=6, minutes=12)
SHARD = 12_820  # images
TOKEN = 'n02012849 crane: model "x": the hub refuses the token in Secret hf-token'
STORE = "the store s3://team/synaug does not answer"


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def shard_estimate() -> dict:
    stages = estimate()["stages"]
    stages["prompts"] |= {"total": 1000, "tasks": 500}
    stages["images"] |= {"total": 500 * SHARD, "tasks": 500}
    return estimate(
        scale=6,
        images=500 * SHARD,
        images_left=500 * SHARD,
        rate=1.47,
        gpus=64,
        gpu_hours=1211.0,
        seconds=19 * 3600.0,
        price=2.56,
        cost=3100.0,
        stages=stages,
    )


def nodes() -> Nodes:
    made = Nodes(NAME)
    numbers = [f"{n:03d}" for n in range(500)]
    arms = [{"arm": arm, "seed": "0"} for arm in ("real", "auxbn-6x")]
    made.add(
        "plan",
        "Succeeded",
        attempt("Succeeded"),
        outputs=plan_outputs(shards=numbers, trainings=arms, evaluations=arms, estimate=shard_estimate()),
    )
    lost = [attempt("Error")] * 33 + [attempt("Failed", exit=170, line=STORE)] * 4
    for n, number in enumerate(numbers):
        inputs = {"shard": number}
        made.add("prompts", "Succeeded", attempt("Succeeded"), inputs=inputs)
        if n == 88:
            made.add("images", "Failed", attempt("Failed", exit=4, line=TOKEN), inputs=inputs)
        elif n < 171:
            summary = {
                "images": SHARD,
                "lost": 0,
                "made": SHARD,
                "seconds": SHARD / 1.61,
                "rate": 1.61,
                "device": "H100",
                "rejected": {"black": 2, "flagged": 5} if n else {"flagged": 48},
            }
            made.add("images", "Succeeded", *lost[n : n + 1], attempt("Succeeded", summary=summary), inputs=inputs)
        elif n < 232:
            made.add("images", "Running", attempt(progress=f"100/{SHARD}"), inputs=inputs)
        elif n < 235:
            made.add("images", "Running", attempt("Pending"), inputs=inputs)
    return made


def pod(
    name: str, phase: str, *, stage: str = "images", age: timedelta = timedelta(), node: str = "", labels=(), **status
) -> dict:
    """node: of the Workflow."""
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {"synaug/stage": stage, **dict(labels)},
            "creationTimestamp": text(NOW - age),
            "annotations": {NODE_ANNOTATION: node},
        },
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
        "status": {"phase": phase} | status,
    }


def running(name: str, since: datetime, *, container: str = "main", created: datetime | None = None, **more) -> dict:
    """One whose container runs since then, and waited before."""
    state = {"running": {"startedAt": text(since)}}
    return pod(
        name, "Running", age=NOW - (created or since), containerStatuses=[{"name": container, "state": state}], **more
    )


def unschedulable(name: str, message: str, **more) -> dict:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    return pod(name, "Pending", conditions=conditions, **more)


def event(pod: str, reason: str, message: str) -> dict:
    return {
        "involvedObject": {"kind": "Pod", "name": pod, "uid": pod},
        "reason": reason,
        "message": message,
        "lastTimestamp": text(NOW),
    }


def snapshot() -> Snapshot:
    full = (
        "0/71 nodes are available: 64 Insufficient nvidia.com/gpu. preemption: 0/71 nodes are available: "
        "7 Preemption is not helpful for scheduling, 64 No preemption victims found for incoming pod."
    )
    begun = NOW - timedelta(seconds=62)
    pods = [running(f"images-{n}", begun, created=STARTED, node=f"{NAME}-images-{n}-0") for n in range(171, 232)]
    pods += [unschedulable(f"waits-{n}", full, age=timedelta(minutes=9)) for n in range(3)]
    scaler = "pod didn't trigger scale-up: 1 max node group size reached"
    return Snapshot(
        workflow(NAME, "Running", nodes(), run="imagenet-6x"),
        NOW,
        pods,
        [event("waits-0", "NotTriggerScaleUp", scaler)],
    )
