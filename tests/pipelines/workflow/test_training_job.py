"""One arm's PyTorchJob, from the base as the chart completes it."""

import copy

import pytest

from pipelines import names
from pipelines.workflow import training_job
from synaug.__main__ import parser_of
from tests.pipelines import schema

GIVEN = {
    "store": "s3://bucket/prefix",
    "run": "first",
    "arm": "auxbn-1x",
    "seed": 0,
    "workflow": "first-4f2a",
    "uid": "u-1",
}


@pytest.fixture
def base():
    made = training_job.base()
    made["spec"]["nprocPerNode"] = "8"
    container = made["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    container["args"].append("compute.device=cuda")
    made["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"].append(
        {"name": "sidecar", "args": ["x"]}
    )
    return made


def worker(job):
    return job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]


def test_workers_train_the_arm_with_the_charts_settings_last(base):
    made = training_job.job(base, **GIVEN)
    containers = worker(made)["spec"]["containers"]
    args = parser_of("train").parse_intermixed_args(containers[0]["args"][1:])
    assert containers[0]["args"][0] == "train" and containers[1]["args"] == ["x"]
    assert (args.store, args.run, args.arm, args.seed) == ("s3://bucket/prefix", "first", "auxbn-1x", 0)
    assert (args.nproc_per_node, args.overrides) == (8, ["compute.device=cuda"])


def test_a_job_goes_with_its_workflow_and_does_not_hold_it_up(base):
    made = training_job.job(base, **GIVEN)
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "first-4f2a", "uid": "u-1"}
    assert training_job.owner(made) == "u-1" and training_job.owner(base) is None


def test_job_and_pods_are_found_by_workflow_run_and_stage(base):
    made = training_job.job(base, **GIVEN)
    wanted = {names.RUN_LABEL: "first", names.WORKFLOW_LABEL: "first-4f2a", names.STAGE_LABEL: "train"}
    assert (
        wanted.items() <= made["metadata"]["labels"].items()
        and wanted.items() <= worker(made)["metadata"]["labels"].items()
    )
    assert made["metadata"]["name"] == names.training_job("first-4f2a", "auxbn-1x", 0)


def test_the_base_is_left_as_it_was(base):
    before = copy.deepcopy(base)
    training_job.job(base, **GIVEN)
    assert base == before


def test_workers_rendezvous_without_a_master_and_are_started_again_by_exit_code():
    made = training_job.base()
    spec = made["spec"]
    assert set(spec["pytorchReplicaSpecs"]) == {
        "Worker"
    }  # a Master would give workers an init container that *restricted* refuses
    assert spec["elasticPolicy"] == {"rdzvBackend": "c10d", "minReplicas": 2, "maxReplicas": 2, "maxRestarts": 0}
    assert spec["pytorchReplicaSpecs"]["Worker"]["restartPolicy"] == "ExitCode"
    assert spec["runPolicy"] == {"cleanPodPolicy": "Running"}
    assert schema.mistakes(schema.pytorch_job(), training_job.job(made, **GIVEN)) == []
