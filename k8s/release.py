"""synaug itself on the development cluster: namespace, claims, credentials, stage image, chart, embedded data."""

import shutil
import subprocess
import sys
from pathlib import Path

from images.engine import find_engine
from k8s.control_plane import kubectl
from k8s.images import BASE, build_base
from k8s.node import import_archive
from k8s.prerequisites import apply, helm, namespace, store_credentials
from k8s.process import BootError, direct, last_line, run
from k8s.settings import REPOSITORY, Settings, cache_folder
from synaug import __version__
from synaug.errors import UsageError

NAMESPACE = "synaug"
IMAGE = f"localhost/synaug-control:{__version__}"
PYTHON = "3.11"  # of the Debian base: packages compiled for another do not load in it


def site_packages(settings: Settings) -> Path:
    """Find the virtual environment's packages. Raises UsageError where pods could not use them."""
    folder = settings.environment.resolve() / "lib" / f"python{PYTHON}" / "site-packages"
    if not (folder / "torch").exists():
        wanted = f"no virtual environment of Python {PYTHON} with torch, which the pods mount"
        raise UsageError(
            f"{settings.environment}: {wanted}; run make setup PYTHON=python{PYTHON}, or name one by VENV=PATH"
        )
    return folder


def prepare_namespace(settings: Settings) -> None:
    """Apply the namespace with its credentials and claims."""
    credentials = store_credentials(settings)
    apply(
        settings,
        [
            namespace(NAMESPACE, **{"pod-security.kubernetes.io/enforce": "restricted"}),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "store", "namespace": NAMESPACE},
                "stringData": {
                    "AWS_ACCESS_KEY_ID": credentials.access,
                    "AWS_SECRET_ACCESS_KEY": credentials.secret,
                },
            },
            *claim("environment", site_packages(settings)),
            *claim("models", readable_models(settings)),
        ],
    )


def claim(name: str, folder: Path) -> list[dict]:
    """Make a claim over a folder of this machine: *restricted* allows it, but no hostPath volume in a pod."""
    size, modes = {"storage": "10Gi"}, ["ReadOnlyMany"]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{NAMESPACE}-{name}"},
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": {"namespace": NAMESPACE, "name": name},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": f"{NAMESPACE}-{name}",
                "resources": {"requests": size},
            },
        },
    ]


def readable_models(settings: Settings) -> Path:
    """Copy the unpacked embedded LLM so that pods' users may read it: safetensors writes for its owner only."""
    folder = settings.state / "models" / "synaug"
    for source in cache_folder().glob("smollm2-*"):
        if source.is_dir() and not source.name.endswith(".part") and not (folder / source.name).exists():
            shutil.copytree(source, folder / source.name, copy_function=shutil.copyfile)
    folder.mkdir(parents=True, exist_ok=True)
    return folder.parent


def load_stage_image(settings: Settings) -> None:
    """Build the image from images/ on the Debian base, and import it where it changed. Raises BootError.

    After a change of the code it takes seconds.
    """
    engine = find_engine()
    engine.load(build_base())
    log = settings.logs / "stage-image.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "images", "--target", "control", "--base", BASE]
        if subprocess.run(command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT).returncode:
            raise BootError(f"the stage image was not built; {log} ends: {last_line(log)}")
    note = settings.state / "stage-image"
    identity = run([engine.name, "images", "--quiet", "--no-trunc", IMAGE])
    if note.exists() and note.read_text() == identity:
        return
    archive = settings.state / "stage-image.tar"
    engine.save(IMAGE, archive)
    import_archive(settings, archive, IMAGE)
    archive.unlink()
    note.write_text(identity)


def install_chart(settings: Settings) -> None:
    """Install the chart, or upgrade it. Raises BootError."""
    prepare_namespace(settings)
    values = str(REPOSITORY / "k8s/values.yaml")
    helm(settings, "synaug", REPOSITORY / "helm/synaug", "--namespace", NAMESPACE, "--values", values)


def import_embedded(settings: Settings) -> None:
    """Import the embedded real data into the cluster's store, once, by the client that people use.

    Raises BootError.
    """
    if phase(settings, "synaug-import-embedded") == "Succeeded":
        return
    environment = direct() | {"KUBECONFIG": str(settings.kubeconfig)}
    command = [sys.executable, "-m", "pipelines", "import", "embedded"]
    if subprocess.run(command, cwd=REPOSITORY, env=environment).returncode:
        raise BootError("the embedded data could not be imported; the line above has the reason")


def phase(settings: Settings, workflow: str) -> str:
    """Read a Workflow's phase; empty where there is none."""
    query = ["--namespace", NAMESPACE, "workflow", workflow, "--ignore-not-found"]
    return kubectl(settings, "get", *query, "--output", "jsonpath={.status.phase}")


def description(settings: Settings) -> str:
    """Say which version is installed."""
    query = ["--namespace", NAMESPACE, "workflowtemplate", "synaug-run", "--ignore-not-found"]
    try:
        version = kubectl(settings, "get", *query, "--output", "jsonpath={.metadata.annotations.synaug/version}")
    except BootError:  # Argo's CRDs are not there yet
        version = ""
    return f"installed, version {version}" if version else "not installed; python -m k8s install"
