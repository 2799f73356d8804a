"""What synaug needs of a cluster: Argo, the training operator, an S3 server.

From the published manifests in the pinned modules.
"""

import json
import secrets
from pathlib import Path
from typing import NamedTuple

import yaml

from k8s.control_plane import kubectl, write_private
from k8s.images import image_name
from k8s.process import BootError, await_condition, direct, run
from k8s.settings import Settings
from k8s.tools import ARGO, BUILDS, OPERATOR, VERSITYGW, binary, source, tool

STORAGE = "storage"  # namespace of the S3 server
BUCKET = "synaug"
# Without it a Workflow may name any account and Secret of its namespace, and so may whoever may create one. What the
# client sends passes: ValidateUserOverrides (workflow/util/merge.go of 3.7.18) lets arguments and shutdown through.
RESTRICTIONS = {"templateReferencing": "Strict"}
KINDS = ("workflowtemplates.argoproj.io", "pytorchjobs.kubeflow.org")
DEPLOYMENTS = (("argo", "workflow-controller"), ("kubeflow", "training-operator"), (STORAGE, "s3"))


def install(settings: Settings) -> None:
    """Apply everything, once for the same versions, then wait until it is rolled out. Raises BootError."""
    note, versions = settings.state / "prerequisites", "".join(f"{build.module} {build.version}\n" for build in BUILDS)
    versions += f"{RESTRICTIONS}\n"
    if not note.exists() or note.read_text() != versions:
        install_operator(settings)  # first: its readiness probe begins after ten seconds, which Argo's CRDs take anyway
        install_storage(settings)
        install_argo(settings)
        note.write_text(versions)
    if not await_condition(lambda: discovered(settings), 60):
        raise BootError(
            f"{settings.server} does not announce {KINDS} within a minute; its log: {settings.logs}/kube-apiserver.log"
        )
    for space, name in DEPLOYMENTS:
        try:
            kubectl(settings, "rollout", "status", "--namespace", space, f"deployment/{name}", "--timeout=120s")
        except BootError as error:
            look = f"kubectl --kubeconfig {settings.kubeconfig} --namespace {space} describe pods"
            raise BootError(f"{name} does not become ready: {error}; see: {look}") from error


def discovered(settings: Settings) -> bool:
    """Say whether the kinds are announced, which helm's preflight looks at.

    On a busy machine a CRD is announced seconds after it is there.
    """
    return set(KINDS) <= set(kubectl(settings, "api-resources", "--output", "name").split())


def available(settings: Settings, space: str, name: str) -> bool:
    """Say whether a Deployment has a replica that can be used."""
    query = ["--namespace", space, "deployment", name, "--ignore-not-found"]
    output = "jsonpath={.status.availableReplicas}"
    return kubectl(settings, "get", *query, "--output", output) not in ("", "0")


def apply(settings: Settings, documents: list[dict] | str) -> None:
    """Apply on the server's side: Argo's full CRDs are too large for the annotation that a client-side apply leaves."""
    text = documents if isinstance(documents, str) else yaml.safe_dump_all(documents, sort_keys=False)
    kubectl(settings, "apply", "--server-side", "--force-conflicts", "--filename", "-", input=text)


def namespace(name: str, **labels: str) -> dict:
    """Make a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def install_argo(settings: Settings) -> None:
    """Install cluster-install with RESTRICTIONS, and the full CRDs.

    cluster-install's own CRDs are minimal and accept any field.
    """
    manifests = source(tool("argo"), ARGO) / "manifests"
    apply(
        settings,
        "\n---\n".join(path.read_text() for path in sorted((manifests / "base/crds/full").glob("argoproj.io_*.yaml"))),
    )
    documents = list(yaml.safe_load_all(kubectl(settings, "kustomize", str(manifests / "cluster-install-no-crds"))))
    apply(settings, [namespace("argo"), *(in_namespace(document, "argo") for document in adapted(documents))])


def adapted(documents: list[dict]) -> list[dict]:
    """Adapt Argo's cluster-install to this cluster's images and RESTRICTIONS."""
    for document in documents:
        kind, name = document["kind"], document["metadata"]["name"]
        if (kind, name) == ("ConfigMap", "workflow-controller-configmap"):
            document["data"] = {"workflowRestrictions": yaml.safe_dump(RESTRICTIONS)}
        if (kind, name) == ("Deployment", "argo-server"):
            document["spec"]["replicas"] = 0  # the UI is not built from a Go module
        if (kind, name) == ("Deployment", "workflow-controller"):
            container = document["spec"]["template"]["spec"]["containers"][0]
            container["image"] = image_name("workflow-controller")
            container["args"] = ["--executor-image", image_name("argoexec")]
    return documents


CLUSTER_SCOPED = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "Namespace"}


def in_namespace(document: dict, name: str) -> dict:
    """Put an object into a namespace, unless it is of the whole cluster or names its own."""
    if document["kind"] not in CLUSTER_SCOPED:
        document["metadata"].setdefault("namespace", name)
    return document


def install_operator(settings: Settings) -> None:
    """Install the training operator."""
    manifests = source(tool("training-operator"), OPERATOR) / "manifests"
    apply(settings, kubectl(settings, "kustomize", str(manifests / "overlays/standalone")))


def install_storage(settings: Settings) -> None:
    """Install versitygw by its own chart on a PersistentVolume; its bucket is a folder of the volume."""
    volume = settings.state / "s3"
    (volume / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
    for folder in (volume, volume / "data", volume / "data" / BUCKET):
        folder.chmod(0o777)  # the server's user is none of this machine's
    credentials = store_credentials(settings)
    apply(
        settings,
        [
            namespace(STORAGE, **{"pod-security.kubernetes.io/enforce": "restricted"}),
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": "s3"},
                "spec": {
                    "capacity": {"storage": "10Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": str(volume), "type": "Directory"},
                    "claimRef": {"namespace": STORAGE, "name": "s3-data"},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s3-root", "namespace": STORAGE},
                "stringData": {"rootAccessKeyId": credentials.access, "rootSecretAccessKey": credentials.secret},
            },
        ],
    )
    repository, tag = image_name("versitygw").rsplit(":", 1)
    values = {
        "fullnameOverride": "s3",
        "image": {"repository": repository, "tag": tag},
        "auth": {"existingSecret": "s3-root"},
        "strategy": {"type": "Recreate"},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    chart = source(tool("versitygw"), VERSITYGW) / "chart"
    helm(settings, "s3", chart, "--namespace", STORAGE, "--values", "-", input=json.dumps(values))


def helm(settings: Settings, release: str, chart: Path, *words: str, input: str | None = None) -> None:
    """Install a chart, or upgrade it. Raises BootError."""
    command = [binary("helm"), "--kubeconfig", settings.kubeconfig, "upgrade", "--install", release, chart, *words]
    run(command, input=input, env=direct(), what=f"helm upgrade --install {release}")


class Credentials(NamedTuple):
    """The S3 server's keys."""

    access: str
    secret: str


def store_credentials(settings: Settings) -> Credentials:
    """Read the S3 server's keys, made at the first call."""
    path = settings.state / "store-credentials.json"
    if not path.exists():
        write_private(path, json.dumps([secrets.token_hex(10), secrets.token_hex(20)]))
    return Credentials(*json.loads(path.read_text()))
