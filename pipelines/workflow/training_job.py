"""The PyTorchJob, all of Kubeflow in one file: its base, which the chart completes and mounts for the launcher, and one arm's job from it.

Read in training-operator 1.9.3: with `elasticPolicy` and no Master, worker-0 hosts the c10d store, no init container is added, and one
worker's success ends the job. ExitCode starts a worker again at 128 or more, also one gone without a code; below that the job is Failed.
"""

import copy
from typing import Any

from pipelines import names
from synaug import __version__

CONTAINER = "pytorch"  # the operator's name for it
WORKERS = 2  # training.workers of the chart
GROUP, VERSION, PLURAL, KIND = "kubeflow.org", "v1", "pytorchjobs", "PyTorchJob"


def base() -> dict[str, Any]:
    """files/training-job.yaml. The chart sets image, resources, selectors, tolerations, environment, replicas, processes,
    the size of /dev/shm and the deadline."""
    from pipelines.workflow import pods  # Hera: the launcher does without

    container = {
        "name": CONTAINER,
        "image": pods.IMAGE,
        "command": ["python", "-m", "synaug"],
        "args": ["train"],
        "env": [{"name": "HOME", "value": pods.TMP}],
        "volumeMounts": [{"name": "tmp", "mountPath": pods.TMP}, {"name": "shared-memory", "mountPath": "/dev/shm"}],
        "securityContext": _plain(pods.container_security()),
    }
    pod = {
        "automountServiceAccountToken": False,
        "serviceAccountName": "synaug-stage",
        "securityContext": _plain(pods.pod_security()),
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        ],
    }
    metadata = {"labels": {"app.kubernetes.io/name": "synaug", names.STAGE_LABEL: "train"}}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": "synaug-train",
            "annotations": {names.VERSION_ANNOTATION: __version__},
            "labels": dict(metadata["labels"]),
        },
        "spec": {
            # maxRestarts 0: a lost rank ends torchrun, the command turns that into 170, and the operator starts the worker anew
            "elasticPolicy": {"rdzvBackend": "c10d", "minReplicas": WORKERS, "maxReplicas": WORKERS, "maxRestarts": 0},
            "nprocPerNode": "1",
            "runPolicy": {
                "cleanPodPolicy": "Running"
            },  # no backoffLimit: over days workers are lost more often than any small number
            "pytorchReplicaSpecs": {
                "Worker": {
                    "replicas": WORKERS,
                    "restartPolicy": "ExitCode",
                    "template": {"metadata": metadata, "spec": pod},
                }
            },
        },
    }


def job(base: dict[str, Any], *, store: str, run: str, arm: str, seed: int, workflow: str, uid: str) -> dict[str, Any]:
    """One arm's job. It goes with its Workflow, whose deletion it does not hold up: blockOwnerDeletion would need a right on finalizers."""
    made = copy.deepcopy(base)
    labels = {names.RUN_LABEL: run, names.WORKFLOW_LABEL: workflow, names.STAGE_LABEL: "train"}
    metadata = made["metadata"]
    metadata["name"] = names.training_job(workflow, arm, seed)
    metadata["labels"] = metadata.get("labels", {}) | labels
    metadata["ownerReferences"] = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": workflow, "uid": uid}
    ]
    worker = made["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]
    worker.setdefault("metadata", {}).setdefault("labels", {}).update(labels)
    container = next(each for each in worker["spec"]["containers"] if each["name"] == CONTAINER)
    given = [
        "--store",
        store,
        "--run",
        run,
        "--arm",
        arm,
        "--seed",
        str(seed),
        "--nproc-per-node",
        made["spec"]["nprocPerNode"],
    ]
    container["args"] = [
        container["args"][0],
        *given,
        *container["args"][1:],
    ]  # execution settings of the chart stand last
    return made


def owner(job: dict[str, Any]) -> str | None:
    """The uid of the Workflow that a job belongs to."""
    return next(
        (
            reference["uid"]
            for reference in job["metadata"].get("ownerReferences", ())
            if reference["kind"] == "Workflow"
        ),
        None,
    )


def _plain(model) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_none=True)
