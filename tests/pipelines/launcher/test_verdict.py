"""What the launcher concludes, case by case, from objects shaped as training-operator 1.9.3 leaves them."""

import pytest

from pipelines.launcher.verdict import (
    KILLS,
    RESTARTS,
    Defect,
    JobSnapshot,
    arrival,
    ended,
    exits,
    lacks_nodes,
    progress_line,
    verdict,
)
from pipelines.workflow import training_job
from synaug.errors import DataError, ModelError, TransientError, UsageError

UID = "0b5c2a6e"


def job(*conditions: str, uid: str = UID, deleted: bool = False) -> dict:
    made = training_job.job(
        training_job.base(), store="s3://b", run="first", arm="auxbn-1x", seed=0, workflow="first-4f2a", uid=uid
    )
    made["status"] = {
        "conditions": [{"type": kind, "status": "True", "message": f"job is {kind}"} for kind in conditions]
    }
    if "Failed" in conditions:
        made["status"]["replicaStatuses"] = {"Worker": {}}  # empty although workers failed
    if deleted:
        made["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    return made


def worker(
    n: int, phase: str = "Running", *, code: int | None = None, said: str = "", waits: tuple[str, str] | None = None
) -> dict:
    state = {"running": {}} if phase == "Running" else {}
    if code is not None:
        state = {"terminated": {"exitCode": code, "message": said, "reason": "Error" if code else "Completed"}}
    if waits:
        state = {"waiting": {"reason": waits[0], "message": waits[1]}}
    statuses = [{"name": "pytorch", "state": state}] if state else []
    metadata = {"name": f"first-4f2a-auxbn-1x-0-worker-{n}", "uid": f"u{n}"}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": statuses}}


def exited(code: int, count: int = 1, at: str = "2026-11-24T12:00:00Z") -> dict:
    message = f"Pod: synaug.first-4f2a-auxbn-1x-0-worker-0 exited with code {code}"
    return {"reason": "ExitedWithCode", "message": message, "count": count, "lastTimestamp": at}


def not_created(message: str) -> dict:
    return {
        "reason": "FailedCreatePod",
        "message": f"Error creating: {message}",
        "count": 3,
        "lastTimestamp": "2026-11-24T12:00:00Z",
    }


def late(n: int) -> dict:
    """As a kubelet leaves a pod whose activeDeadlineSeconds are over."""
    made = worker(n, "Failed", code=143)
    made["status"] |= {
        "reason": "DeadlineExceeded",
        "message": "Pod was active on the node longer than the specified deadline",
    }
    return made


W0, W1 = (f"first-4f2a-auxbn-1x-0-worker-{n}" for n in (0, 1))
RUNNING, FAILED, SUCCEEDED = (
    job("Created", "Running"),
    job("Created", "Running", "Failed"),
    job("Created", "Running", "Succeeded"),
)
BOTH = [worker(0), worker(1)]
CASES = {
    "the model is there, whatever the job says": (JobSnapshot(done=True, job=FAILED), True),
    "the model is there and the job is gone": (JobSnapshot(done=True, job=None), True),
    "both at work": (JobSnapshot(done=False, job=RUNNING, pods=BOTH), False),
    "created, no pod yet": (JobSnapshot(done=False, job=job("Created")), False),
    "no status yet": (JobSnapshot(done=False, job=job()), False),
    "the store does not answer while they work": (JobSnapshot(done=None, job=RUNNING, pods=BOTH), False),
    "the store does not answer and the job has ended": (JobSnapshot(done=None, job=SUCCEEDED), TransientError),
    "deleted by somebody": (JobSnapshot(done=False, job=None), TransientError),
    "one worker ended with 0 before rank 0 had published": (
        JobSnapshot(done=False, job=SUCCEEDED, pods=[worker(1, "Succeeded", code=0)], events=[exited(170)]),
        TransientError,
    ),
    "settings": (
        JobSnapshot(done=False, job=FAILED, pods=[worker(0, "Failed", code=2, said="arm x: no such kind")]),
        UsageError,
    ),
    "data": (
        JobSnapshot(
            done=False, job=FAILED, pods=[worker(0, "Failed", code=3, said="checkpoint.pt is of another model")]
        ),
        DataError,
    ),
    "a model": (
        JobSnapshot(done=False, job=FAILED, pods=[worker(1, "Failed", code=4, said="the hub refuses the token")]),
        ModelError,
    ),
    "a worker's own error and its peer's loss of it": (
        JobSnapshot(
            done=False,
            job=FAILED,
            pods=[worker(0, "Failed", code=170, said="lost"), worker(1, "Failed", code=3, said="a broken tar")],
        ),
        DataError,
    ),
    "a defect": (
        JobSnapshot(done=False, job=FAILED, pods=[worker(0, "Failed", code=70, said="unexpected KeyError")]),
        Defect,
    ),
    "a code that is nobody's": (JobSnapshot(done=False, job=FAILED, pods=[worker(0, "Failed", code=1)]), Defect),
    "failed, and the pod that failed is gone": (
        JobSnapshot(done=False, job=FAILED, events=[exited(170), exited(3)]),
        DataError,
    ),
    "failed for no reason to be seen": (JobSnapshot(done=False, job=FAILED), TransientError),
    "failed past its deadline": (
        JobSnapshot(done=False, job=FAILED, pods=[worker(0, "Failed", code=170), late(1)]),
        UsageError,
    ),
    "past its deadline, and to be started again": (
        JobSnapshot(done=False, job=RUNNING, pods=[worker(0), late(1)]),
        UsageError,
    ),
    "workers lost and back": (
        JobSnapshot(done=False, job=RUNNING, pods=BOTH, events=[exited(137), exited(170, 5)], again=4),
        False,
    ),
    "killed as often as may be, told twice each, and its peer lost it": (
        JobSnapshot(
            done=False, job=RUNNING, events=[exited(137, 2 * KILLS)], again=2 * KILLS, restarts={W0: KILLS, W1: KILLS}
        ),
        False,
    ),
    "killed once more": (
        JobSnapshot(done=False, job=RUNNING, events=[exited(137, 2 * KILLS)], restarts={W0: KILLS + 1}),
        UsageError,
    ),
    "killed once and its peer lost it often": (
        JobSnapshot(done=False, job=RUNNING, events=[exited(137), exited(170, 9)], restarts={W0: 5, W1: 9}),
        False,
    ),
    "started again as often as may be": (
        JobSnapshot(done=False, job=RUNNING, events=[exited(170, 9)], again=RESTARTS),
        False,
    ),
    "started again once more": (
        JobSnapshot(done=False, job=RUNNING, events=[exited(170, 9)], again=RESTARTS + 1),
        TransientError,
    ),
    "deleted over and over, which leaves no code": (
        JobSnapshot(done=False, job=RUNNING, again=RESTARTS + 1),
        TransientError,
    ),
    "the namespace's quota is used up": (
        JobSnapshot(
            done=False,
            job=RUNNING,
            events=[not_created('pods "w" is forbidden: exceeded quota: gpus, requested: 1, used: 8')],
        ),
        False,
    ),
    "workers are not admitted": (
        JobSnapshot(
            done=False,
            job=RUNNING,
            events=[not_created('pods "w" is forbidden: violates PodSecurity "restricted:latest"')],
        ),
        UsageError,
    ),
    "an image that is none": (
        JobSnapshot(done=False, job=RUNNING, pods=[worker(0, "Pending", waits=("InvalidImageName", "couldn't parse"))]),
        UsageError,
    ),
    "an image that is not there yet": (
        JobSnapshot(done=False, job=RUNNING, pods=[worker(0, "Pending", waits=("ImagePullBackOff", "not found"))]),
        False,
    ),
}


@pytest.mark.parametrize("seen, wanted", CASES.values(), ids=CASES)
def test_verdict(seen, wanted):
    found = verdict(seen)
    assert found is wanted if isinstance(wanted, bool) else type(found) is wanted, found


def test_the_reason_is_the_workers_own_line_on_one_line():
    seen = JobSnapshot(
        done=False, job=FAILED, pods=[worker(1, "Failed", code=4, said="the hub refuses the token;\nset another one\n")]
    )
    assert str(verdict(seen)) == "first-4f2a-auxbn-1x-0-worker-1: the hub refuses the token; set another one"


def test_killed_workers_name_the_value_that_helps():
    assert "pods.worker.resources.limits.memory" in str(verdict(CASES["killed once more"][0]))


@pytest.mark.parametrize(
    "there, wanted",
    [
        (None, "create"),
        (job("Created", "Running"), "adopt"),
        (job(), "adopt"),
        (job("Created", "Running", uid="another"), "remove"),
        (job("Created", "Failed"), "remove"),
        (job("Created", "Succeeded"), "remove"),
        (job("Created", "Running", deleted=True), "remove"),
    ],
)
def test_a_job_of_the_name_is_taken_over_only_while_it_works_for_this_workflow(there, wanted):
    assert arrival(there, UID) == wanted


def test_conditions_that_no_longer_hold_do_not_count():
    made = job("Created", "Running")
    made["status"]["conditions"].append({"type": "Failed", "status": "False", "message": ""})
    assert ended(made) is None


def test_equal_events_are_counted_as_often_as_they_happened():
    events = [exited(170, 3, "2026-11-24T12:05:00Z"), exited(137, 1, "2026-11-24T12:01:00Z"), {"message": None}]
    assert exits(events) == [(W0, 137), (W0, 170), (W0, 170), (W0, 170)]


def test_a_line_tells_step_loss_speed_workers_and_age_of_the_checkpoint():
    seen = JobSnapshot(done=False, job=RUNNING, pods=BOTH)
    metrics = {"step": 1200, "loss": 1.2345, "images_per_second": 412.3, "checkpoint_time": 1000.0}
    told = progress_line("auxbn-1x", 0, seen, metrics, steps=5000, workers=2, now=1035.4)
    assert told == "train auxbn-1x seed 0: step 1200/5000, loss 1.23, 412 images/s, 2/2 workers, checkpoint 35 s old"


def test_a_line_says_what_a_worker_waits_for():
    pod = worker(1, "Pending")
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no GPU"}
    ]
    told = progress_line(
        "naive", 1, JobSnapshot(done=False, job=RUNNING, pods=[worker(0), pod]), None, steps=100, workers=2, now=0.0
    )
    assert told == "train naive seed 1: step 0/100, 1/2 workers, worker-1 waits: Unschedulable: 0/3 nodes: no GPU"


def test_a_line_says_why_a_worker_is_not_created():
    events = [not_created('pods "w-1" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 8')]
    told = progress_line(
        "naive",
        1,
        JobSnapshot(done=False, job=RUNNING, pods=[worker(0)], events=events),
        None,
        steps=100,
        workers=2,
        now=0.0,
    )
    assert told.endswith("1/2 workers, 1 not created: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 8")
    there = progress_line(
        "naive", 1, JobSnapshot(done=False, job=RUNNING, pods=BOTH, events=events), None, steps=100, workers=2, now=0.0
    )
    assert there.endswith("2/2 workers"), "the event stays for an hour"


def test_workers_are_short_while_one_has_no_node():
    unscheduled = worker(1, "Pending")
    unscheduled["status"]["conditions"] = [{"type": "PodScheduled", "status": "False"}]
    assert lacks_nodes([worker(0), unscheduled], 2) and lacks_nodes([worker(0)], 2)
    assert not lacks_nodes([worker(0), worker(1, "Pending", waits=("ContainerCreating", ""))], 2)
