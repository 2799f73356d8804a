"""The PyTorchJob, all of Kubeflow in one file: its base and one arm's job from it.

The chart completes the base and mounts it for the launcher. Read in training-operator 1.9.3: with `elasticPolicy` and
no Master, worker-0 hosts the c10d store, no init container is added, and one worker's success ends the job. ExitCode
starts a worker again at 128 or more, also one gone without a code; below that the job is Failed.

Hera is imported where it is used: it takes a second, and the launcher does without.
"""

import copy
from typing import Any

from pydantic import BaseModel

from pipelines import names
from synaug import __version__

CONTAINER = "pytorch"  # the operator's name for it
WORKERS = 2  # training.workers of the chart
GROUP, VERSION, PLURAL, KIND = "kubeflow.org", "v1", "pytorchjobs", "PyTorchJob"


def base() -> dict[str, Any]:
    """Make files/training-job.yaml.

    The chart sets image, resources, selectors, tolerations, environment, replicas, processes, the size of /dev/shm and
    the deadline.
    """
    from pipelines.workflow import pods

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
            # maxRestarts 0: a lost rank ends torchrun, the command turns that into 170, and the operator starts the
            # worker again
            "elasticPolicy": {"rdzvBackend": "c10d", "minReplicas": WORKERS, "maxReplicas": WORKERS, "maxRestarts": 0},
            "nprocPerNode": "1",
            # no backoffLimit: over days workers are lost more often than any small number
            "runPolicy": {"cleanPodPolicy": "Running"},
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
    """Make one arm's job, which is deleted with its Workflow.

    It does not hold up the Workflow's deletion: blockOwnerDeletion would need a right on finalizers.
    """
    training = copy.deepcopy(base)
    labels = {names.RUN_LABEL: run, names.WORKFLOW_LABEL: workflow, names.STAGE_LABEL: "train"}
    metadata = training["metadata"]
    metadata["name"] = names.training_job(workflow, arm, seed)
    metadata["labels"] = metadata.get("labels", {}) | labels
    metadata["ownerReferences"] = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": workflow, "uid": uid}
    ]
    worker = training["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]
    worker.setdefault("metadata", {}).setdefault("labels", {}).update(labels)
    container = next(each for each in worker["spec"]["containers"] if each["name"] == CONTAINER)
    options = {"store": store, "run": run, "arm": arm, "seed": seed, "nproc-per-node": training["spec"]["nprocPerNode"]}
    command, *settings = container["args"]  # execution settings of the chart come last
    container["args"] = [
        command,
        *(str(word) for key, value in options.items() for word in (f"--{key}", value)),
        *settings,
    ]
    return training


def owner(job: dict[str, Any]) -> str | None:
    """Find the uid of the Workflow that a job belongs to."""
    references = job["metadata"].get("ownerReferences", ())
    return next((reference["uid"] for reference in references if reference["kind"] == "Workflow"), None)


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_none=True)
