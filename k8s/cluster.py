"""The commands: up, install, down, status, tools."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from k8s import control_plane, host, node, prerequisites, release
from k8s.images import build_base
from k8s.process import kill, processes
from k8s.settings import Settings, cache_folder
from k8s.tools import build_all, tool
from synaug.errors import UsageError

MARKER = "synaug-development-cluster"  # a ConfigMap in kube-system
PARTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "coredns",
    "containerd",
    "kubelet",
    "kube-proxy",
)


def tools(settings: Settings) -> None:
    """Build the programs. Raises UsageError, BootError."""
    build_all()


def up(settings: Settings) -> None:
    """Boot what does not run, synaug on it.

    Raises UsageError for a machine that cannot, BootError naming the part that failed.
    """
    host.check(settings)
    release.site_packages(settings)
    build_all()
    step("base image", build_base)
    boot(settings)
    with ThreadPoolExecutor(1) as pool:
        image = pool.submit(release.load_stage_image, settings)
        step("Argo, training operator, S3", lambda: prerequisites.install(settings))
        step("synaug's image", image.result)
    install_release(settings)
    print(f"up. For kubectl and helm: export KUBECONFIG={settings.kubeconfig}")


def boot(settings: Settings) -> None:
    """Boot Kubernetes alone, marked as a development cluster."""
    host.check_alone(settings)
    for folder in (settings.state, settings.logs):
        folder.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    step("network", lambda: host.prepare(settings))
    with ThreadPoolExecutor(1) as pool:
        images = pool.submit(node.load_images, settings)
        step("control plane", lambda: control_plane.boot(settings))
        step("images", images.result)
    step("node", lambda: node.boot(settings))
    mark(settings)


def install(settings: Settings) -> None:
    """Install synaug on a cluster that is up, again from this checkout. Raises UsageError, BootError."""
    if not node.ready(settings):
        raise UsageError("no development cluster is up; run: python -m k8s up")
    step("synaug's image", lambda: release.load_stage_image(settings))
    install_release(settings)


def install_release(settings: Settings) -> None:
    """Install the chart and import the embedded data."""
    step("chart", lambda: release.install_chart(settings))
    release.import_embedded(settings)


def step(name: str, act: Callable[[], object]) -> None:
    """Do a part of the boot and print how long it took."""
    begun = time.monotonic()
    print(f"{name} ...", end=" ", flush=True)
    act()
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


def mark(settings: Settings) -> None:
    """Mark the cluster: tests that break things look for this, so that they never touch another one."""
    path = settings.state / "nonce"
    if not path.exists():
        path.write_text(secrets.token_hex(16))
    metadata = {"name": MARKER, "namespace": "kube-system"}
    prerequisites.apply(
        settings, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"nonce": path.read_text()}}]
    )


def down(settings: Settings) -> None:
    """Stop the cluster and remove its state folder; the cache of tools and images stays.

    Safe where nothing runs, and after a crash half way. Raises UsageError.
    """
    if os.geteuid() != 0:
        raise UsageError("down needs root, as up does")
    host.check_alone(settings)
    if not (settings.state.exists() or processes(settings) or host.leftovers(settings)):
        print("no development cluster is up")
        return
    kill(settings, {"kubelet", "kube-proxy"})  # first: a kubelet starts pods again
    host.kill_pods(settings)
    kill(settings)
    host.restore(settings)
    if settings.state.exists():
        shutil.rmtree(settings.state)
    print("down: processes, mounts, network and cgroups are as before; built tools and images stay in", cache_folder())


def status(settings: Settings) -> int:
    """Print what runs; return 0 when all does, else 1."""
    running = set(processes(settings).values())
    if not running:
        print("no development cluster is up; make cluster boots one")
        return 1
    missing = [part for part in PARTS if part not in running]
    for part in missing:
        print(f"{part} does not run; its log is {settings.logs / part}.log; python -m k8s up starts it")
    if "etcd" in missing or "kube-apiserver" in missing:
        return 1
    is_ready = node.ready(settings)
    print(f"node {settings.node}: {'Ready' if is_ready else 'not Ready'}, Kubernetes {tool('kubernetes').version}")
    unready = [name for space, name in prerequisites.DEPLOYMENTS if not prerequisites.available(settings, space, name)]
    print(f"Argo, training operator, S3: {'not ready: ' + ', '.join(unready) if unready else 'ready'}")
    print(f"synaug: {release.description(settings)}")
    print(f"export KUBECONFIG={settings.kubeconfig}")
    return int(bool(missing or unready or not is_ready))
