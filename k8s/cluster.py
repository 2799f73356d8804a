"""The commands: up, down, status, tools."""

import secrets
import shutil
import time
from collections.abc import Callable

from k8s import control_plane, host, node, prerequisites, release
from k8s.images import contents
from k8s.node import ready
from k8s.process import kill, processes
from k8s.settings import Settings
from k8s.tools import build_all
from synaug.errors import UsageError

MARKER = "synaug-development-cluster"  # a ConfigMap in kube-system


def tools(settings: Settings) -> None:
    build_all()


def up(settings: Settings) -> None:
    """Boots what does not run. Raises UsageError for a machine that cannot, BootError naming the part that failed."""
    host.check(settings)
    build_all()
    for folder in (settings.state, settings.logs):
        folder.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    step("images", lambda: contents(settings))
    step("network", lambda: host.prepare(settings))
    step("control plane", lambda: control_plane.boot(settings))
    step("containerd", lambda: node.boot_containerd(settings))
    step("import of images", lambda: node.import_images(settings))
    step("node", lambda: node.boot(settings))
    step("Argo, training operator, S3", lambda: prerequisites.install(settings))
    mark(settings)
    print(f"up: export KUBECONFIG={settings.kubeconfig}")


def install(settings: Settings) -> None:
    """synaug on a cluster that is up: image, chart, embedded data. Raises UsageError, BootError."""
    if not ready(settings):
        raise UsageError("no development cluster is up; run: python -m k8s up")
    step("namespace, claims", lambda: release.prepare_namespace(settings))
    step("stage image", lambda: release.load_stage_image(settings))
    step("chart", lambda: release.install_chart(settings))
    release.import_embedded(settings)


def step(name: str, act: Callable[[], object]) -> None:
    begun = time.monotonic()
    print(f"{name} ...", end=" ", flush=True)
    act()
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


def mark(settings: Settings) -> None:
    """Tests that break things look for this, so that they never touch another cluster."""
    path = settings.state / "nonce"
    if not path.exists():
        path.write_text(secrets.token_hex(16))
    prerequisites.apply(settings, [{
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MARKER, "namespace": "kube-system"}, "data": {"nonce": path.read_text()},
    }])  # fmt: skip


def down(settings: Settings) -> None:
    """Safe on a machine where nothing runs, and after a crash half way. Removes the state folder."""
    kill(settings, {"kubelet", "kube-proxy"})  # first: it would start pods again
    host.kill_pods(settings)
    kill(settings)
    host.restore(settings)
    if settings.state.exists():
        shutil.rmtree(settings.state)
    print("down")


def status(settings: Settings) -> None:
    running = sorted(set(processes(settings).values()))
    print(f"processes: {', '.join(running) or 'none'}")
