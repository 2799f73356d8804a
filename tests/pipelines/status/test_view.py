"""What `make watch` shows, from Workflow objects, pods and events."""

import base64
import gzip
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.status import view
from tests.pipelines import imagenet_run
from tests.pipelines.imagenet_run import NOW, STARTED, event, pod, running, unschedulable
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, workflow

FIGURE = """\
imagenet-6x-4f2a   running 6 h 12 min   images left 11 h 57 min (plan 19 h)   images cost 965 of 3,100
prompts ##########  500/500
images  ###.......  170/500 shards  2.19 M/6.41 M  98.2 img/s (1.61 a GPU, plan 1.47)  61 of 64 GPUs
index waiting   train 0/2   evaluate 0/2   report -
rejects 1,231 (0.056 %): flagged 893, black 338     retries 37: preempted 33, store 4
pending 3 for 9 min   0/71 nodes: insufficient nvidia.com/gpu (autoscaler: max size reached)
FAILED  images-088: exit 4, n02012849 crane: model "x": the hub refuses the token in Secret hf-token
        fix: a model, licence or token that can be used (models.tokenSecret of the chart), then make submit   log: \
make logs SHARD=88
"""

HOUR = timedelta(hours=1)


def shown(snapshot: view.Snapshot) -> str:
    return "".join(f"{line.text}\n" for line in view.lines(snapshot))


def small(phase: str = "Running", ended: str | None = None, **forecast) -> tuple[Nodes, dict]:
    """A run of two class shards and two trainings, planned."""
    nodes = Nodes("first-4f2a")
    arms = [{"arm": "real", "seed": "0"}, {"arm": "auxbn-1x", "seed": "0"}]
    outputs = plan_outputs(shards=["000", "001"], trainings=arms, evaluations=arms, estimate=estimate(**forecast))
    nodes.add("plan", "Succeeded", attempt("Succeeded"), outputs=outputs)
    return nodes, workflow("first-4f2a", phase, nodes, gpus=2, finishedAt=ended)


def recorded(name: str) -> dict:
    """A Workflow of the development cluster, without its configuration."""
    return json.loads((Path(__file__).parent / "recorded" / f"{name}.json").read_text())


def main_waits(reason: str, message: str) -> list[dict]:
    return [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}]


def test_the_figure_of_the_issue():
    assert shown(imagenet_run.snapshot()) == FIGURE


def test_packed_nodes_show_the_same():
    snapshot = imagenet_run.snapshot()
    status = snapshot.workflow["status"]
    packed = base64.b64encode(gzip.compress(json.dumps(status["nodes"]).encode())).decode()
    changed = snapshot.workflow | {"status": status | {"nodes": None, "compressedNodes": packed}}
    assert shown(replace(snapshot, workflow=changed)) == FIGURE


def test_before_plan_is_done_it_says_so():
    nodes = Nodes("first-4f2a").add("plan", "Running", attempt())
    assert shown(view.Snapshot(workflow("first-4f2a", "Running", nodes), NOW)) == (
        "first-4f2a   running 6 h 12 min\nplan    running\n"
        "prompts waiting   images waiting   index waiting   train 0/?   evaluate 0/?   report -\n"
    )


def test_a_stage_whose_pod_waits_is_starting():
    nodes, run = small()
    nodes.add("index", "Running", attempt("Pending"))
    assert "index starting   train 0/2" in shown(view.Snapshot(run, NOW))


def test_training_shows_the_launcher_s_newest_line():
    nodes, run = small()
    nodes.add("train", "Running", attempt(progress="1200/5000"), inputs={"arm": "auxbn-1x", "seed": "0"})
    line = "train auxbn-1x seed 0: step 1200/5000, loss 1.23, 412 images/s, 2/2 workers, checkpoint 35 s old"
    told = view.Snapshot(run, NOW, logs={"train-auxbn-1x-0": line})
    assert (
        "train   ..........  0/2\n        auxbn-1x seed 0: step 1200/5000, loss 1.23, 412 images/s, 2/2 workers"
        in shown(told)
    )
    assert "        auxbn-1x-0: step 1,200/5,000\n" in shown(view.Snapshot(run, NOW))


def test_training_left_takes_the_arms_to_come_for_as_long_as_the_one_that_runs():
    nodes, run = small()
    for number in ("000", "001"):
        nodes.add("images", "Succeeded", attempt("Succeeded"), inputs={"shard": number})
    nodes.add("train", "Running", attempt(progress="100/400"), inputs={"arm": "real", "seed": "0"})
    later, labels = NOW.replace(hour=5, minute=10), {"training.kubeflow.org/job-name": "first-4f2a-real-0"}
    launcher = running("launcher", STARTED, stage="train", node="first-4f2a-train-real-0-0")
    # the workers waited for an hour: 600 s for 100 steps, 1800 s for the rest, 2400 s for the other arm
    workers = [
        running(f"worker-{n}", STARTED + HOUR, container="pytorch", created=STARTED, labels=labels) for n in range(2)
    ]
    assert "running 1 h 10 min   training left 1 h 10 min\n" in shown(view.Snapshot(run, later, [launcher, *workers]))
    # all were lost and one is back: how long they waited at first is not known any more, so rather too much than too
    # little
    back = running("worker-0", later, container="pytorch", created=later, labels=labels)
    waits = pod("worker-1", "Pending", labels=labels)
    assert "training left 8 h 10 min\n" in shown(view.Snapshot(run, later, [launcher, back, waits]))


def test_what_was_made_before_counts_as_done_and_not_as_speed():
    """1x lies there, 2x is made: each shard begins half done."""
    stages = estimate()["stages"]
    stages["images"] |= {"done": 160, "total": 320}
    nodes, run = small(scale=2, images=320, images_left=160, stages=stages)
    nodes.add("images", "Running", attempt(progress="110/160"), inputs={"shard": "000"})  # 80 before
    later = NOW.replace(hour=4, minute=1)
    pods = [running("a", STARTED, node="first-4f2a-images-000-0")]
    assert "0/2 shards  190/320  0.5 img/s (0.5 a GPU)  1 of 2 GPUs" in shown(view.Snapshot(run, later, pods))


def test_pods_that_wait_for_a_node_cost_nothing_and_slow_nothing():
    """Argo's startedAt is when a pod was made: here one ran from the start, one waited an hour, one waits still."""
    stages = estimate()["stages"]
    stages["images"] |= {"total": 30_000, "tasks": 3}
    nodes, run = small(images=30_000, images_left=30_000, price=3.6, cost=30.0, stages=stages)
    outputs = plan_outputs(
        shards=["000", "001", "002"],
        estimate=estimate(images=30_000, images_left=30_000, price=3.6, cost=30.0, stages=stages),
    )
    nodes.add("plan", "Succeeded", attempt("Succeeded"), outputs=outputs)
    for number, state in (
        ("000", attempt(progress="7200/10000")),
        ("001", attempt(progress="3600/10000")),
        ("002", attempt("Pending")),
    ):
        nodes.add("images", "Running", state, inputs={"shard": number})
    pods = [running(f"{n}", STARTED + n * HOUR, created=STARTED, node=f"first-4f2a-images-{n:03d}-0") for n in range(2)]
    pods.append(
        unschedulable(
            "w", "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", node="first-4f2a-images-002-0", age=2 * HOUR
        )
    )
    text = shown(view.Snapshot(run, STARTED + 2 * HOUR, pods))
    assert "0/3 shards  10,800/30,000  2 img/s (1 a GPU)  2 of 2 GPUs\n" in text  # 19,200 images at 2 a second
    assert text.startswith("first-4f2a   running 2 h   images left 2 h 40 min   images cost 10.80 of 30.00\n")


def test_a_run_whose_images_were_there_says_nothing_of_their_hours_and_cost():
    _, run = small(seconds=0.0, price=3.6, cost=0.0, images_left=0)
    assert shown(view.Snapshot(run, NOW)).startswith("first-4f2a   running 6 h 12 min\n")


def test_before_a_gpu_is_there_the_time_left_is_the_plan_s():
    nodes, run = small(seconds=7200.0, price=3.6, cost=7.2)
    nodes.add("images", "Running", attempt("Pending"), inputs={"shard": "000"})
    text = shown(
        view.Snapshot(
            run, STARTED + 3 * HOUR, [unschedulable("w", "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")]
        )
    )
    assert text.startswith("first-4f2a   running 3 h   images left 2 h (plan 2 h)   images cost 0.00 of 7.20\n")


def test_what_ended_costs_what_argo_measured_of_its_gpus():
    """Lost without a word: as long as its images take. Both were made an hour before they ran."""
    nodes, run = small(price=3600.0)
    summary = {"images": 80, "made": 80, "seconds": 40.0}
    failed = attempt(
        "Failed", exit=170, progress="20/80", resourcesDuration={"cpu": 99, "memory": 9, "nvidia.com/gpu": 30}
    )
    nodes.add("images", "Running", failed, attempt("Error", progress="40/80"), attempt(), inputs={"shard": "000"})
    nodes.add(
        "images",
        "Succeeded",
        attempt("Succeeded", summary=summary, finishedAt="2026-11-24T05:00:40Z"),
        inputs={"shard": "001"},
    )
    assert "images cost 80.00\n" in shown(view.Snapshot(run, NOW))  # 30 s, 20 images at 2 a second, 40 s


def test_a_store_that_does_not_answer_is_said_while_it_is_tried_again():
    nodes, run = small()
    line = "the store s3://b/p does not answer: connection refused"
    nodes.add("prompts", "Running", attempt("Failed", exit=170, line=line), inputs={"shard": "000"})
    nodes.add("prompts", "Running", attempt("Failed", exit=170, line=line), attempt(), inputs={"shard": "001"})
    text = shown(view.Snapshot(run, NOW))
    assert f"retries 2: store 2\nretrying prompts-000 and 1 more: exit 170, {line}\n" in text
    assert "FAILED" not in text


@pytest.mark.parametrize(
    ("pods", "events", "line"),
    [
        (
            [pod("a", "Pending", containerStatuses=main_waits("ImagePullBackOff", "Back-off"))],
            [],
            "pending 1 for 0 s   Back-off: the image cannot be pulled: image.repository, image.tag and "
            "imagePullSecrets of the chart",
        ),
        (
            [pod("a", "Pending", age=timedelta(minutes=3))],
            [event("a", "FailedMount", 'MountVolume failed: secret "store" not found')],
            'pending 1 for 3 min   MountVolume failed: secret "store" not found',
        ),
        (
            [
                unschedulable(
                    "a", "0/1 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: true}."
                )
            ],
            [event("other", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")],
            "pending 1 for 0 s   0/1 nodes: insufficient cpu, node(s) had untolerated taint {gpu: true}\n",
        ),
        ([pod("a", "Pending", containerStatuses=main_waits("ContainerCreating", ""))], [], None),
    ],
    ids=["pull", "mount", "unschedulable", "starting"],
)
def test_why_a_pod_waits_in_words(pods, events, line):
    text = shown(view.Snapshot(small()[1], NOW, pods, events))
    assert line in text if line else "pending" not in text


def test_a_used_up_quota_is_pending_with_its_reason():
    nodes, run = small()
    message = 'pods "x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: 8, limited: 8'
    nodes.add("images", "Pending", attempt("Pending", message=message), inputs={"shard": "000"})
    text = shown(view.Snapshot(run, NOW))
    assert (
        "pending 1 for 6 h 12 min   exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: 8, limited: 8\n"
        in text
    )
    assert "FAILED" not in text


FAILURES = [
    ("images", attempt("Failed", exit=137, message="main: OOMKilled (exit code 137)"), "exit 137",
     "more memory: pods.images.resources.limits.memory", "make logs SHARD=1"),
    ("images", attempt("Failed", exit=137), "exit 137",
     "the node killed it, not for its own limit of memory", "make logs SHARD=1"),
    ("prompts", attempt("Failed", exit=2, line="no such field"), "exit 2, no such field",
     "repair the configuration", "STAGE=prompts"),
    ("images", attempt("Failed", exit=170, line="s3://b/p stayed out of reach after 9 attempts: refused"),
     "exit 170, s3://b/p stayed out", "bring the store or endpoint back", "SHARD=1"),
    ("images", attempt("Failed", exit=170, line="the hub stays out of reach (timed out)"),
     "exit 170, the hub stays out of reach", "bring the hub into reach of the pods", "SHARD=1"),
    ("images", attempt("Error"), "its pod is gone", "its pods were lost again and again", "SHARD=1"),
    ("images", attempt("Error", message='pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
     "no pod, pods", "the cluster does not admit the pod", "SHARD=1"),
    ("images", attempt("Failed", message="Pod was active on the node longer than the specified deadline"),
     "out of time, Pod was active", "more time: pods.images.deadlineHours", "SHARD=1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "last", "what", "fix", "log"), FAILURES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_failure_has_its_line_and_its_fix(stage, last, what, fix, log):
    nodes, run = small("Failed", ended="2026-11-24T05:00:00Z")
    nodes.add(stage, "Failed", last, inputs={"shard": "001"}, message="No more retries left")
    text = shown(view.Snapshot(run, NOW))
    failed, advice = text.splitlines()[-2:]
    assert failed.startswith(f"FAILED  {stage}-001: ")
    assert what in failed
    assert fix in advice
    assert advice.endswith(log)


RETRIES = [  # lines as synaug and the launcher write them
    (
        170,
        "main: Error (exit code 170): the hub stays out of reach (timed out) and m is not in the local cache; run "
        "again",
        "hub",
    ),
    (170, "main: Error (exit code 170): the store file:///store failed at runs/a: Input/output error", "store"),
    (170, "main: Error (exit code 170): s3://b/p stayed busy or broken (503) at runs/a after 9 attempts", "store"),
    (
        170,
        "main: Error (exit code 170): the PyTorchJob failed (w-0: rank 1 lost its peers (reset)); it goes on",
        "lost peer",
    ),
    (
        170,
        "main: Error (exit code 170): workers were started again 21 times and the arm did not come through",
        "lost peer",
    ),
    (170, "main: Error (exit code 170): the Kubernetes API server stays out of reach to list pods: 503", "API server"),
    (
        170,
        "main: Error (exit code 170): no progress for 15 minutes (compute.stall_minutes); run again to go on",
        "stalled",
    ),
    (170, "main: Error (exit code 170)", "exit 170"),
    (137, "main: OOMKilled (exit code 137)", "out of memory"),
    (137, "main: Error (exit code 137)", "killed"),
    (143, "main: Error (exit code 143)", "preempted"),
]


@pytest.mark.parametrize(("code", "message", "cause"), RETRIES)
def test_a_retry_is_counted_under_what_caused_it(code, message, cause):
    nodes, run = small()
    nodes.add("images", "Running", attempt("Failed", exit=code, message=message), attempt(), inputs={"shard": "000"})
    assert f"retries 1: {cause} 1\n" in shown(view.Snapshot(run, NOW))


def test_a_run_that_is_being_stopped_says_so():
    _, run = small()
    run["spec"]["shutdown"] = "Stop"
    assert shown(view.Snapshot(run, NOW)).startswith("first-4f2a   stopping 6 h 12 min")


def test_what_a_stop_ended_is_no_failure():
    """As Argo 3.7.18 leaves the pods of a stopped Workflow."""
    nodes, run = small("Failed", ended="2026-11-24T05:00:00Z")
    run["spec"]["shutdown"] = "Stop"
    nodes.add(
        "images", "Failed", attempt("Failed", message="workflow shutdown with strategy: Stop"), inputs={"shard": "001"}
    )
    text = shown(view.Snapshot(run, NOW))
    assert text.startswith("first-4f2a   stopped 1 h\n")
    assert "FAILED" not in text
    assert "retries" not in text


def test_many_failures_are_counted_and_not_listed():
    nodes, run = small()
    for n in range(9):
        nodes.add("images", "Failed", attempt("Failed", exit=4, line="no"), inputs={"shard": f"{n:03d}"})
    text = shown(view.Snapshot(run, NOW))
    assert (text.count("FAILED"), "and 4 more failed\n" in text) == (5, True)


def test_a_run_as_argo_3_7_18_left_it():
    """Recorded on the development cluster: at 1x; the launcher and the exit handler ended with 2 and left no line."""
    assert shown(view.Snapshot(recorded("failed-training"), NOW)) == (
        "lead-8693   failed 4 min 41 s\n"
        "prompts ##########  2/2\n"
        "images  ##########  2/2 shards  160/160  7.5 img/s a GPU\n"
        "index done   train 0/1   evaluate 0/1   report -\n"
        "FAILED  train-auxbn-1x-0: exit 2, no reason given\n"
        "        fix: repair the configuration, then make submit   log: make logs ARM=auxbn-1x SEED=0\n"
        "FAILED  finish: exit 2, no reason given\n"
        "        fix: repair the configuration, then make submit   log: make logs STAGE=finish\n"
    )


def test_a_run_that_succeeded_as_argo_3_7_18_left_it():
    assert shown(view.Snapshot(recorded("succeeded"), NOW)) == (
        "first-8693   done 7 min 19 s\n"
        "prompts ##########  2/2\n"
        "images  ##########  2/2 shards  160/160  4.13 img/s a GPU\n"
        "index done   train 1/1   evaluate 1/1   report done\n"
    )


def test_the_cost_of_a_real_run_is_that_of_its_stages_not_of_its_nodes():
    """Without GPUs Argo measures none: the stages' own 23.1 and 15.6 s, of nodes that lasted 50 and 46."""
    run = recorded("succeeded")
    for node in run["status"]["nodes"].values():
        for parameter in node.get("outputs", {}).get("parameters", []):
            if parameter["name"] == "estimate":
                parameter["value"] = json.dumps(json.loads(parameter["value"]) | {"price": 3600.0})
    assert shown(view.Snapshot(run, NOW)).startswith("first-8693   done 7 min 19 s   images cost 38.75\n")
