"""The chart as helm renders it, and the pods that come out of it."""

import copy
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "synaug"
SCENARIOS = sorted((CHART / "ci").glob("*-values.yaml"))
DEVELOPMENT = CHART.parents[1] / "k8s" / "values.yaml"  # the development cluster's
APIS = ("argoproj.io/v1alpha1/WorkflowTemplate", "kubeflow.org/v1/PyTorchJob", "monitoring.coreos.com/v1/PodMonitor")
STORE = {"store": {"url": "s3://bucket/prefix"}}  # the one value without a default that works
SECRETS = {"imagePullSecrets": [{"name": "registry"}]}
NAMESPACE = "team"


def helm_binary() -> str:
    """On PATH, or as `python -m k8s tools` builds it; otherwise the test is skipped."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synaug" / "tools"
    built = sorted(cache.glob("helm-*/helm"), key=lambda path: path.stat().st_mtime)
    found = shutil.which("helm") or (str(built[-1]) if built else None)
    if found is None:
        pytest.skip("no helm on PATH; install it, or build it with Go: python -m k8s tools")
    return found


def helm(*arguments: str, values: dict | None = None) -> subprocess.CompletedProcess:
    """values are read from standard input."""
    command = [helm_binary(), *arguments, *(() if values is None else ("--values", "-"))]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True)


def template(
    values: dict, *more: str, apis: tuple[str, ...] = APIS, chart: Path = CHART
) -> subprocess.CompletedProcess:
    versions = [argument for api in apis for argument in ("--api-versions", api)]
    # A helm built from its module without its release's flags takes the cluster for Kubernetes 1.20.
    return helm(
        "template", "synaug", str(chart), "-n", NAMESPACE, "--kube-version", "1.34.4", *versions, *more, values=values
    )


def rendered(values: dict) -> list[dict]:
    return json.loads(_rendered(json.dumps(values)))


@functools.cache
def _rendered(values: str) -> str:
    """Once for equal values: helm takes a third of a second."""
    done = template(json.loads(values))
    assert done.returncode == 0, done.stderr
    return json.dumps([document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document])


def scenario(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def one(documents: list[dict], kind: str, name: str) -> dict:
    return next(each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name)


def training_job(documents: list[dict]) -> dict:
    config = next(each for each in documents if each["kind"] == "ConfigMap" and "training-job.yaml" in each["data"])
    return yaml.safe_load(config["data"]["training-job.yaml"])


@dataclass(frozen=True, kw_only=True)
class Pod:
    name: str  # WorkflowTemplate/template, or what else makes it
    kind: str  # of pods in values.yaml
    spec: dict
    metadata: dict

    @property
    def main(self) -> dict:
        return next(each for each in self.spec["containers"] if each["name"] in ("main", "pytorch", "check"))


def pods(documents: list[dict]) -> Iterator[Pod]:
    """Every pod: of Argo's templates as its controller makes them, of the PyTorchJob, of `helm test`."""
    for document in documents:
        if document["kind"] == "WorkflowTemplate":
            spec = document["spec"]
            for each in spec["templates"]:
                if "container" in each:
                    name = f"{document['metadata']['name']}/{each['name']}"
                    yield Pod(
                        name=name, kind=each["name"], spec=argo_pod(spec, each), metadata=each.get("metadata", {})
                    )
        elif document["kind"] == "Pod":
            yield Pod(name="helm test", kind="test", spec=document["spec"], metadata=document["metadata"])
    worker = training_job(documents)["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]
    yield Pod(name="PyTorchJob", kind="worker", spec=worker["spec"], metadata=worker["metadata"])


def argo_pod(workflow: dict, template: dict) -> dict:
    """Make of a template what Argo 3.7.18 does (workflow/controller/workflowpod.go).

    Its init and wait containers come without a context.
    """
    mounted = {mount["name"] for mount in template["container"].get("volumeMounts", ())}
    volumes = [{"name": name, "emptyDir": {}} for name in ("var-run-argo", "tmp-dir-argo")] + template.get(
        "volumes", []
    )
    volumes += [volume for volume in workflow.get("volumes", ()) if volume["name"] in mounted]
    executor = [{"name": name, "volumeMounts": []} for name in ("init", "wait")]
    if account := workflow.get("executor", {}).get("serviceAccountName"):
        volumes.append({"name": "exec-sa-token", "secret": {"secretName": f"{account}.service-account-token"}})
        for container in executor:
            container["volumeMounts"].append(
                {"name": "exec-sa-token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
            )
    spec = {
        "initContainers": executor[:1],
        "containers": [executor[1], copy.deepcopy(template["container"]) | {"name": "main"}],
        "volumes": volumes,
        "securityContext": template.get("securityContext") or workflow.get("securityContext") or {},
        "serviceAccountName": template.get("serviceAccountName") or workflow.get("serviceAccountName") or "default",
        "automountServiceAccountToken": template.get(
            "automountServiceAccountToken", workflow.get("automountServiceAccountToken", True)
        ),
        "imagePullSecrets": workflow.get("imagePullSecrets", []),
        "tolerations": template.get("tolerations") or workflow.get("tolerations", []),
        "nodeSelector": template.get("nodeSelector") or workflow.get("nodeSelector", {}),
    }
    for patch in (workflow.get("podSpecPatch"), template.get("podSpecPatch")):
        if patch:
            apply_patch(spec, json.loads(patch))
    return spec


def apply_patch(spec: dict, patch: dict) -> None:
    """A strategic merge: containers by name, their other fields and the pod's plain ones replaced."""
    for field in ("initContainers", "containers"):
        for container in patch.pop(field, ()):
            known = {each["name"]: each for each in spec[field]}
            known[container["name"]].update(container)
    assert set(patch) <= {"runtimeClassName"}, f"the patch has more than this merge knows: {list(patch)}"
    spec.update(patch)
