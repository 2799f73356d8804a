"""The development cluster leaves the machine as it found it: looked at for real, so only while no other one is up."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from k8s import cluster, host
from k8s.control_plane import kubectl
from k8s.errors import BootError
from k8s.images import PAUSE
from k8s.process import await_condition, owned, processes, start
from k8s.settings import REPOSITORY, Settings
from k8s.tools import build_all

PROGRAMS = {  # as /proc names them, in 15 characters
    "etcd", "kube-apiserver", "kube-controller", "kube-scheduler", "kubelet", "kube-proxy",
    "coredns", "containerd", "containerd-shim", "pause",
}  # fmt: skip
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
        pytest.skip(f"a development cluster is up in {next(iter(found.values()))[0]}; first make cluster-down, then this test")
    settings = made_for_tests(tmp_path / "cluster")
    host.check(settings)
    build_all()
    yield settings
    cluster.down(settings)


def made_for_tests(state: Path) -> Settings:
    return Settings(state=state, bridge="synaug-test0", table="synaug-test", cgroup="synaug-test")


def machine() -> dict:
    """All that a cluster could leave behind."""
    links = json.loads(output("ip", "-json", "address"))
    return {
        "processes": programs(),
        "mounts": sorted(f"{point} {kind}" for point, kind in host.mounts()),
        "network namespaces": network_namespaces(),
        "addresses": [(link["ifname"], [info["local"] for info in link["addr_info"]]) for link in links],
        "routes": [output("ip", family, "route", "show", "table", "all") for family in ("-4", "-6")],
        "nftables": output("nft", "list", "ruleset"),
        "sysctls": {name: host.read_sysctl(name) for name in host.SYSCTLS},
        "forwarding": texts("/proc/sys/net", "ipv?/conf/*/forwarding"),
        "cgroups": sorted(folder for root in host.cgroup_roots() for folder, _, _ in os.walk(root)),
        "folders": {folder: sorted(map(str, Path(folder).rglob("*"))) if Path(folder).exists() else "none" for folder in host.FOLDERS},
    }


def programs() -> list[str]:
    """Names of live processes, of the kinds that a cluster has. Ended ones that their parent, this test, has not asked after are zombies (Z)."""
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


def assert_as_before(before: dict) -> None:
    after = machine()
    assert {what: after[what] for what in before if after[what] != before[what]} == {}


def test_down_leaves_the_machine_as_it_was(settings):
    before = machine()
    cluster.boot(settings)
    kubectl(settings, "apply", "--filename", "-", input=POD)
    kubectl(settings, "wait", "pod/waits", "--for=condition=Ready", "--timeout=60s")
    running = processes(settings)
    assert set(cluster.PARTS) <= set(running.values())
    assert {what for what in before if machine()[what] != before[what]} >= {"processes", "mounts", "addresses", "nftables", "cgroups"}

    cluster.boot(settings)  # a second time nothing is started
    assert processes(settings) == running

    cluster.down(settings)
    assert_as_before(before)
    assert not settings.state.exists()


def test_down_cleans_up_after_a_boot_that_was_killed(settings):
    before = machine()
    program = "import sys; from pathlib import Path; from k8s import cluster; from tests.cluster.test_boot import made_for_tests; "
    program += "cluster.boot(made_for_tests(Path(sys.argv[1])))"
    boot = subprocess.Popen([sys.executable, "-c", program, str(settings.state)], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    assert await_condition(lambda: "kubelet" in processes(settings).values(), 120, alive=lambda: boot.poll() is None)
    boot.kill()
    assert boot.wait() == -signal.SIGKILL
    cluster.down(settings)
    assert_as_before(before)


def test_down_where_nothing_is_up_changes_nothing(settings):
    before = machine()
    cluster.down(settings)
    assert_as_before(before)


def test_a_part_that_fails_is_named_with_its_log(settings):
    settings.logs.mkdir(parents=True)
    with pytest.raises(BootError, match=rf"etcd: ended with 1; {settings.logs}/etcd.log ends: .*no such flag"):
        start(settings, "etcd", ["sh", "-c", "echo no such flag; exit 1"], lambda: False)
