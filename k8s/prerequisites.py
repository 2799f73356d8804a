"""What synaug needs of a cluster, from the published manifests in the pinned modules: Argo, the training operator, an S3 server."""

import json
import secrets
from pathlib import Path

import yaml

from k8s.control_plane import kubectl, write_private
from k8s.errors import BootError
from k8s.images import image_name
from k8s.process import await_condition, direct, run
from k8s.settings import Settings
from k8s.tools import ARGO, BUILDS, OPERATOR, VERSITYGW, binary, source, tool

STORAGE = "storage"  # namespace of the S3 server
BUCKET = "synaug"
# Without it a Workflow may name any account and Secret of its namespace, and so may whoever may create one. What the client sends passes:
# ValidateUserOverrides (workflow/util/merge.go of 3.7.18) lets arguments and shutdown through.
RESTRICTIONS = {"templateReferencing": "Strict"}
KINDS = ("workflowtemplates.argoproj.io", "pytorchjobs.kubeflow.org")
DEPLOYMENTS = (("argo", "workflow-controller"), ("kubeflow", "training-operator"), (STORAGE, "s3"))


def install(settings: Settings) -> None:
    """Applies everything, once for the same versions, then waits until it is rolled out. Raises BootError."""
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
    """A CRD that is there is announced seconds later, on a busy machine; helm's preflight looks at what is announced."""
    return set(KINDS) <= set(kubectl(settings, "api-resources", "--output", "name").split())


def available(settings: Settings, space: str, name: str) -> bool:
    query = [
        "--namespace",
        space,
        "deployment",
        name,
        "--ignore-not-found",
        "--output",
        "jsonpath={.status.availableReplicas}",
    ]
    return kubectl(settings, "get", *query) not in ("", "0")


def apply(settings: Settings, documents: list[dict] | str) -> None:
    """Server-side: Argo's full CRDs are too large for the annotation that a client-side apply leaves."""
    text = documents if isinstance(documents, str) else yaml.safe_dump_all(documents, sort_keys=False)
    kubectl(settings, "apply", "--server-side", "--force-conflicts", "--filename", "-", input=text)


def namespace(name: str, **labels: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def install_argo(settings: Settings) -> None:
    """cluster-install with RESTRICTIONS, and the full CRDs: cluster-install's own are minimal and accept any field."""
    manifests = source(tool("argo"), ARGO) / "manifests"
    apply(
        settings,
        "\n---\n".join(path.read_text() for path in sorted((manifests / "base/crds/full").glob("argoproj.io_*.yaml"))),
    )
    documents = list(yaml.safe_load_all(kubectl(settings, "kustomize", str(manifests / "cluster-install-no-crds"))))
    apply(settings, [namespace("argo"), *(in_namespace(document, "argo") for document in adapted(documents))])


def adapted(documents: list[dict]) -> list[dict]:
    """Argo's cluster-install with this cluster's images and RESTRICTIONS."""
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
    if document["kind"] not in CLUSTER_SCOPED:
        document["metadata"].setdefault("namespace", name)
    return document


def install_operator(settings: Settings) -> None:
    manifests = source(tool("training-operator"), OPERATOR) / "manifests"
    apply(settings, kubectl(settings, "kustomize", str(manifests / "overlays/standalone")))


def install_storage(settings: Settings) -> None:
    """versitygw by its own chart on a PersistentVolume; its bucket is a folder of the volume."""
    volume = settings.state / "s3"
    (volume / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
    for folder in (volume, volume / "data", volume / "data" / BUCKET):
        folder.chmod(0o777)  # the server's user is none of this machine's
    access, secret = store_credentials(settings)
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
                "stringData": {"rootAccessKeyId": access, "rootSecretAccessKey": secret},
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
    """Installs a chart, or upgrades it."""
    command = [binary("helm"), "--kubeconfig", settings.kubeconfig, "upgrade", "--install", release, chart, *words]
    run(command, input=input, env=direct(), what=f"helm upgrade --install {release}")


def store_credentials(settings: Settings) -> tuple[str, str]:
    path = settings.state / "store-credentials.json"
    if not path.exists():
        write_private(path, json.dumps([secrets.token_hex(10), secrets.token_hex(20)]))
    access, secret = json.loads(path.read_text())
    return access, secret
