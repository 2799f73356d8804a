"""One run that everything happens to ends with the same bytes; stopped and deleted half way it leaves nothing and goes on."""

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


@pytest.fixture(scope="module")
def faults(cluster, commands, first_run, objects):
    """The first run's configuration under another name, with every fault on the way."""
    cluster.check_marker()
    run = commands("faults")
    with phase("a run with faults"):
        run.submit()
        pod = until(lambda: running(cluster, "prompts", "faults"), "a prompts pod runs")
        cluster.delete_pod(pod.metadata.name)
        pod = until(lambda: running(cluster, "images", "faults"), "an images pod runs")
        cluster.delete_pod(pod.metadata.name)
        for controller in cluster.core.list_namespaced_pod("argo", label_selector="app=workflow-controller").items:
            cluster.delete_pod(controller.metadata.name, namespace="argo")
        until(lambda: running(cluster, "images", "faults"), "an images pod runs again")
        cluster.scale("s3", "storage", 0)
        threading.Event().wait(OUTAGE)
        cluster.scale("s3", "storage", 1)
        worker = until(lambda: running(cluster, "train", "faults", name="worker-0"), "worker-0 runs", seconds=400)
        until(lambda: running(cluster, "train", "faults", name="worker-1"), "worker-1 runs")
        cluster.delete_pod(worker.metadata.name)
        run.watch()
    return run


def test_every_fault_was_a_retry_and_the_run_succeeded(cluster, faults):
    name = cluster.workflow_of("faults")
    assert cluster.workflow(name)["status"]["phase"] == "Succeeded"
    assert [node for node in cluster.nodes(name, "prompts") if node["phase"] != "Succeeded"], "the deleted prompts pod"
    assert [node for node in cluster.nodes(name, "images") if node["phase"] != "Succeeded"], "the deleted images pod"


def test_the_bytes_are_those_of_the_run_without_faults(faults, objects):
    first = {name: data for name, data in synthetic(objects, "first").items() if name.startswith("x1/")}
    assert synthetic(objects, "faults") == first


def test_training_ended_where_it_would_have(faults, objects):
    done, undisturbed = objects.json("runs/faults/train/auxbn-1x/0/done.json"), objects.json("runs/first/train/auxbn-1x/0/done.json")
    assert done["steps"] == undisturbed["steps"]


def nothing_left(cluster, run: str) -> bool:
    jobs = [job for job in cluster.training_jobs() if job["metadata"]["labels"].get("synaug/run") == run]
    return not jobs and not [pod for pod in cluster.pods(**{"synaug/run": run}) if pod.status.phase in ("Pending", "Running")]


def test_stopped_and_deleted_half_way_it_leaves_nothing_and_goes_on(cluster, faults, objects):
    with phase("stopped, deleted, gone on with"):
        faults.submit(scale="2x")
        until(lambda: running(cluster, "images", "faults"), "an images pod runs")
        faults.of("stop")
        until(lambda: nothing_left(cluster, "faults"), "no pod after a stop")
        stopped = objects.list("runs/faults/synthetic/")

        faults.submit(scale="2x")
        until(lambda: running(cluster, "train", "faults", name="worker-0"), "worker-0 runs", seconds=400)
        made = objects.list("runs/faults/synthetic/")
        assert made.items() >= stopped.items(), "what was done before the stop is not made again"
        cluster.delete_workflow(cluster.workflow_of("faults"))
        until(lambda: nothing_left(cluster, "faults"), "neither job nor pod after the deletion")

        faults.submit(scale="2x")
        faults.watch()
    assert objects.list("runs/faults/synthetic/") == made
