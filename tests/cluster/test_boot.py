"""The development cluster leaves the machine as it found it: looked at for real, so only while no other one is up."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from k8s import cluster, host
from k8s.control_plane import kubectl
from k8s.images import PAUSE
from k8s.process import BootError, await_condition, owned, processes, start
from k8s.settings import REPOSITORY, Settings
from k8s.tools import build_all

PROGRAMS = {  # as /proc names them, in 15 characters
    "etcd",
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
    "containerd",
    "containerd-shim",
    "pause",
}
FOLDERS = (
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/cni",
    "/etc/cni",
    "/run/containerd",
    "/run/netns",
    "/opt/containerd",
)
POD = """
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  automountServiceAccountToken: false
  containers: [{name: main, image: IMAGE, volumeMounts: [{name: memory, mountPath: /memory}]}]
  volumes: [{name: memory, emptyDir: {medium: Memory}}]
""".replace("IMAGE", PAUSE)


@pytest.fixture
def settings(tmp_path) -> Iterator[Settings]:
    if os.geteuid() != 0:
        pytest.skip("booting needs root")
    if found := owned():
        pytest.skip(
            f"a development cluster is up in {next(iter(found.values()))[0]}; first make cluster-down, then this test"
        )
    settings = made_for_tests(tmp_path / "cluster")
    host.check(settings)
    build_all()
    yield settings
    cluster.down(settings)


def made_for_tests(state: Path) -> Settings:
    return Settings(state=state, bridge="synaug-test0", table="synaug-test", cgroup="synaug-test")


def machine() -> dict[str, Counter]:
    """All that a cluster could leave behind."""
    links = json.loads(output("ip", "-json", "address"))
    seen = {
        "processes": programs(),
        "mounts": [f"{mount.point} {mount.kind}" for mount in host.mounts()],
        "network namespaces": network_namespaces(),
        "addresses": [f"{link['ifname']} {[info['local'] for info in link['addr_info']]}" for link in links],
        "routes": [
            line
            for family in ("-4", "-6")
            for line in output("ip", family, "route", "show", "table", "all").splitlines()
        ],
        "nftables": output("nft", "list", "ruleset").splitlines(),
        "sysctls": [f"{name} = {host.read(Path('/proc/sys', name))}" for name in host.SYSCTLS],
        "forwarding": [f"{name} = {value}" for name, value in texts("/proc/sys/net", "ipv?/conf/*/forwarding").items()],
        "cgroups": [folder for root in host.cgroup_roots() for folder, _, _ in os.walk(root)],
        "folders": [
            str(path) for folder in FOLDERS if Path(folder).exists() for path in [folder, *Path(folder).rglob("*")]
        ],
    }
    return {what: Counter(lines) for what, lines in seen.items()}


def programs() -> list[str]:
    """Name the live processes of the kinds that a cluster has; not zombies (Z): ended children of this test."""
    found = [re.match(r"\d+ \((.+)\) (.)", text) for text in texts("/proc", "[0-9]*/stat").values()]
    return sorted(match[1] for match in found if match[1] in PROGRAMS and match[2] != "Z")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def texts(folder: str, pattern: str) -> dict[str, str]:
    found = {}
    for path in Path(folder).glob(pattern):
        with suppress(OSError):  # a process that ended meanwhile
            found[str(path)] = path.read_text().strip()
    return found


def network_namespaces() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):
            found.add(os.readlink(path))
    return found


def changes(before: dict[str, Counter]) -> dict[str, list[str]]:
    """What came (+) and went (-) since."""
    after, found = machine(), {}
    for what in before:
        lines = [f"+ {line}" for line in after[what] - before[what]] + [
            f"- {line}" for line in before[what] - after[what]
        ]
        found |= {what: lines} if lines else {}
    return found


def test_down_leaves_the_machine_as_it_was(settings):
    before = machine()
    cluster.boot(settings)
    kubectl(settings, "apply", "--filename", "-", input=POD)
    kubectl(settings, "wait", "pod/waits", "--for=condition=Ready", "--timeout=60s")
    running = processes(settings)
    assert set(cluster.PARTS) <= set(running.values())
    assert set(changes(before)) >= {"processes", "mounts", "addresses", "nftables", "cgroups"}

    cluster.boot(settings)  # a second time nothing is started
    assert processes(settings) == running

    cluster.down(settings)
    assert changes(before) == {}
    assert not settings.state.exists()


def test_down_cleans_up_after_a_boot_that_was_killed(settings):
    before = machine()
    program = "import sys; from pathlib import Path; from k8s import cluster; "
    program += "from tests.cluster.test_boot import made_for_tests; cluster.boot(made_for_tests(Path(sys.argv[1])))"
    boot = subprocess.Popen(
        [sys.executable, "-c", program, str(settings.state)], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    assert await_condition(lambda: "kubelet" in processes(settings).values(), 120, alive=lambda: boot.poll() is None)
    boot.kill()
    assert boot.wait() == -signal.SIGKILL
    cluster.down(settings)
    assert changes(before) == {}


def test_down_where_nothing_is_up_changes_nothing(settings):
    before = machine()
    cluster.down(settings)
    assert changes(before) == {}


def test_a_part_that_fails_is_named_with_its_log(settings):
    settings.logs.mkdir(parents=True)
    with pytest.raises(BootError, match=rf"etcd: ended with 1; {settings.logs}/etcd.log ends: .*no such flag"):
        start(settings, "etcd", ["sh", "-c", "echo no such flag; exit 1"], lambda: False)
