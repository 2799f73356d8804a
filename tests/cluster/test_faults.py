"""One run that everything happens to ends with the same bytes; stopped or deleted half way it goes on."""

import threading

import pytest

from tests.cluster.development import Cluster, until
from tests.cluster.phases import phase
from tests.cluster.test_run import synthetic

OUTAGE = 30  # seconds without a store


def running(cluster: Cluster, stage: str, run: str, *, name: str = ""):
    """The first running pod of a run's stage."""
    pods = [pod for pod in cluster.pods(stage, **{"synaug/run": run}) if name in pod.metadata.name]
    return next((pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp), None)


def shard_of(pod) -> str:
    """Argo's name of the task, without the number of the attempt."""
    return pod.metadata.annotations["workflows.argoproj.io/node-name"].rpartition("(")[0]


def delete_and_see_another(cluster: Cluster, stage: str, run: str) -> None:
    """Kill a running pod of the stage at once; Argo makes another, of the same attempt if it was young."""
    pod = until(lambda: running(cluster, stage, run), f"a pod of {stage} runs", seconds=400)
    cluster.delete_pod(pod.metadata.name)

    def again() -> bool:
        pods = cluster.pods(stage, **{"synaug/run": run})
        return any(each.metadata.uid != pod.metadata.uid and shard_of(each) == shard_of(pod) for each in pods)

    until(again, f"another pod of {stage}")


@pytest.fixture(scope="module")
def faults(cluster, commands, first_run, objects):
    """The first run's configuration under another name, with every fault on the way."""
    cluster.check_marker()
    run = commands("faults")
    with phase("a run with faults"):
        run.submit()
        delete_and_see_another(cluster, "prompts", run.run)
        delete_and_see_another(cluster, "images", run.run)
        for controller in cluster.core.list_namespaced_pod("argo", label_selector="app=workflow-controller").items:
            cluster.delete_pod(controller.metadata.name, namespace="argo")
        until(lambda: running(cluster, "images", run.run), "an images pod runs again")
        cluster.scale("s3", "storage", 0)
        threading.Event().wait(OUTAGE)
        cluster.scale("s3", "storage", 1)
        worker = until(lambda: running(cluster, "train", run.run, name="worker-0"), "worker-0 runs", seconds=400)
        until(lambda: running(cluster, "train", run.run, name="worker-1"), "worker-1 runs")
        cluster.delete_pod(worker.metadata.name)
        run.watch()
    return run


def test_the_run_with_faults_succeeded(cluster, faults):
    assert cluster.workflow(cluster.workflow_of(faults.run))["status"]["phase"] == "Succeeded"


def test_the_bytes_are_those_of_the_run_without_faults(first_run, faults, objects):
    first = {name: data for name, data in synthetic(objects, first_run).items() if name.startswith("x1/")}
    assert synthetic(objects, faults) == first


def test_training_ended_where_it_would_have(first_run, faults, objects):
    done, undisturbed = (objects.json(run.key("train/auxbn-1x/0/done.json")) for run in (faults, first_run))
    assert (done["steps"], done["ranks"]) == (undisturbed["steps"], undisturbed["ranks"])


def jobs_of(cluster: Cluster, run) -> list[dict]:
    return [job for job in cluster.training_jobs() if job["metadata"]["labels"].get("synaug/run") == run.run]


def nothing_left(cluster: Cluster, run) -> bool:
    """Neither a training job nor a pod that works."""
    return not jobs_of(cluster, run) and not [
        pod for pod in cluster.pods(**{"synaug/run": run.run}) if pod.status.phase in ("Pending", "Running")
    ]


def live(cluster: Cluster, run) -> bool:
    return any(
        workflow.get("status", {}).get("phase") in ("Pending", "Running") for workflow in cluster.workflows(run.run)
    )


def stop(cluster: Cluster, run) -> None:
    """`make stop`: the exit handler removes the job."""
    run.of("stop")


def terminate(cluster: Cluster, run) -> None:
    """No exit handler runs: the launcher removes its job when it is told to end."""
    cluster.patch_workflow(cluster.workflow_of(run.run), {"spec": {"shutdown": "Terminate"}})


def delete(cluster: Cluster, run) -> None:
    """Nothing of ours runs: the job goes with its owner."""
    cluster.delete_workflow(cluster.workflow_of(run.run))


def test_ended_half_way_in_any_manner_it_leaves_nothing_and_goes_on(cluster, faults, objects):
    for end in (stop, terminate, delete):
        with phase(f"{end.__name__} during training"):
            faults.submit(scale="2x")
            until(lambda: jobs_of(cluster, faults), "a training job is there", seconds=400)
            made = objects.list(faults.key("synthetic/"))
            end(cluster, faults)
            until(lambda: nothing_left(cluster, faults), f"neither job nor pod after {end.__name__}")
            until(
                lambda: not live(cluster, faults), f"no live workflow after {end.__name__}"
            )  # a live one is not submitted again
    with phase("gone on with"):
        faults.submit(scale="2x")
        faults.watch()
    assert objects.list(faults.key("synthetic/")) == made and [key for key in made if "/x2/" in key]
    assert objects.list(faults.key("train/auxbn-2x/0/")).keys() >= {faults.key("train/auxbn-2x/0/done.json")}
