"""What the cluster changes on the machine outside its folder, noted first and put back afterwards."""

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import NamedTuple

from k8s.process import BootError, await_condition, owned, run
from k8s.settings import Settings
from synaug.errors import UsageError

PACKAGES = {  # program -> Debian's package
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "mount": "mount",
    "debootstrap": "debootstrap",
    "buildah": "buildah",
    "openssl": "openssl",
}
PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))  # Debian's folder of CNI plugins, everyone else's
SYSCTLS = (  # set by us (the first) and by the kubelet
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
FOLDERS = (  # that kubelet, libcni and containerd's shims do not let one choose
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/lib/cni/results",
    "/run/containerd/s",
)
PARENTS = ("/var/lib/cni", "/run/containerd")  # made with them; what else is in these is others'
KUBE_PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def plugin_folder() -> Path:
    """Find the folder of CNI plugins."""
    return next((folder for folder in PLUGINS if (folder / "ptp").exists()), PLUGINS[0])


def check(settings: Settings) -> None:
    """Install the Debian packages that are missing.

    Raises UsageError for a machine or user that cannot boot a cluster.
    """
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise UsageError(
            "the development cluster needs Linux and root (namespaces, mounts); elsewhere use kind: k8s/README.md"
        )
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not (plugin_folder() / "ptp").exists():
        missing.append("containernetworking-plugins")
    if missing and not shutil.which("apt-get"):
        raise UsageError(f"programs are missing; install your distribution's packages for: {' '.join(missing)}")
    if missing:
        print(f"apt-get install {' '.join(missing)} ...", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            if subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL).returncode:
                raise UsageError(
                    f"apt-get {command[0]} failed (its error is above); install by hand: {' '.join(missing)}"
                )
    if not cgroup_roots():
        raise UsageError("no cgroup file system is mounted: pods cannot be confined; mount one at /sys/fs/cgroup")


def prepare(settings: Settings) -> None:
    """Note the machine's state once, then set up address, forwarding and masquerading. Safe to call again."""
    note = settings.state / "host.json"
    if note.exists():
        addresses = json.loads(note.read_text())["addresses"]
        if addresses != settings.addresses:
            raise UsageError(
                f"addresses {settings.addresses}: the cluster is up with {addresses}; first: python -m k8s down"
            )
    else:
        check_free(settings)
        before = {
            "addresses": settings.addresses,
            "sysctls": {name: value for name in SYSCTLS if (value := read(Path("/proc/sys", name)))},
            "files": sorted(files()),
        }
        part = note.with_suffix(".part")
        part.write_text(json.dumps(before, indent=1))
        part.rename(note)
    if not leftovers(settings):
        run(["ip", "link", "add", settings.bridge, "type", "bridge"])
    run(["ip", "address", "replace", f"{settings.node_address}/32", "dev", settings.bridge])
    run(["ip", "link", "set", settings.bridge, "up"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    run(
        ["nft", "-f", "-"],
        input=f"""
        table ip {settings.table} {{}}
        delete table ip {settings.table}
        table ip {settings.table} {{
            chain postrouting {{
                type nat hook postrouting priority srcnat
                ip saddr {settings.pods} ip daddr != {{ {settings.pods}, {settings.node_address} }} masquerade
            }}
        }}""",
    )  # pods reach the world as the node does
    for root in cgroup_roots():
        (root / settings.cgroup).mkdir(exist_ok=True)
        for controller in read(root / "cgroup.controllers").split():  # v2: the kubelet wants them in its own root
            (root / "cgroup.subtree_control").write_text(f"+{controller}")


def check_alone(settings: Settings) -> None:
    """Raise UsageError where another checkout's cluster is up: its device, table and cgroup have the same names."""
    for process in owned().values():
        if process.state != str(settings.state):
            raise UsageError(
                f"another development cluster is up, in {process.state}: one at a time; python -m k8s down there "
                "stops it"
            )


def check_free(settings: Settings) -> None:
    """Raise UsageError where a cluster's leftovers or a route take what this one needs."""
    if leftovers(settings):
        raise UsageError(
            f"network device {settings.bridge} is left of a cluster whose folder is gone; first: python -m k8s down"
        )
    wanted = IPv4Network(settings.addresses)
    for route in json.loads(run(["ip", "-4", "-json", "route", "show", "table", "all"])):
        if route["dst"] != "default" and IPv4Network(route["dst"], strict=False).overlaps(wanted):
            taken = f"addresses {wanted}: this machine has a route to {route['dst']}"
            raise UsageError(f"{taken}; give a free network: --addresses 10.200.0.0/16")


def leftovers(settings: Settings) -> bool:
    """Say whether the cluster's network device is there: it is the first to come and goes with `down`."""
    return settings.bridge in {name for _, name in socket.if_nameindex()}


def restore(settings: Settings) -> None:
    """Put back what `prepare` and the programs changed. Safe to call again, and after a crash half way."""
    kill_pods(settings)
    unmount(settings)
    tables = run(["nft", "list", "tables"])
    for family, table in [*KUBE_PROXY_TABLES, ("ip", settings.table)]:
        if f"table {family} {table}\n" in tables:
            run(["nft", "delete", "table", family, table])
    remove_cgroups(settings)
    if leftovers(settings):
        run(["ip", "link", "delete", settings.bridge])
    note = settings.state / "host.json"
    if note.exists():
        before = json.loads(note.read_text())
        for name, value in before["sysctls"].items():
            if read(Path("/proc/sys", name)) != value:
                Path("/proc/sys", name).write_text(value)
        for path in sorted(files() - set(before["files"]), reverse=True):  # what is in a folder before the folder
            remove(Path(path))


def read(path: Path) -> str:
    """Read a kernel's file; empty where this kernel has none."""
    return path.read_text().strip() if path.exists() else ""


class Mount(NamedTuple):
    """A mount point and its file system."""

    point: Path
    kind: str


def mounts() -> list[Mount]:
    """List the mounts, the last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [(line.split()[4].encode().decode("unicode_escape"), line.split(" - ")[1].split()[0]) for line in lines]
    return [Mount(Path(point), kind) for point, kind in reversed(points)]


def cgroup_roots() -> list[Path]:
    """List the root of every cgroup hierarchy: one with cgroup v2, one a controller with v1."""
    kinds = ("cgroup", "cgroup2")
    return [mount.point for mount in mounts() if mount.kind in kinds and mount.point.is_relative_to("/sys/fs/cgroup")]


def pod_cgroups(settings: Settings) -> list[Path]:
    """List all cgroups of pods, children before parents."""
    return [Path(folder) for root in cgroup_roots() for folder, _, _ in os.walk(root / settings.cgroup, topdown=False)]


def kill_pods(settings: Settings) -> None:
    """End all processes of pods. Raises BootError where some do not end."""

    def pids() -> set[int]:
        found: set[int] = set()
        for folder in pod_cgroups(settings):
            with suppress(OSError):  # it vanishes with its last process
                found |= set(map(int, (folder / "cgroup.procs").read_text().split()))
        return found

    def none_left() -> bool:
        for pid in pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids()

    if not await_condition(none_left, 30):
        raise BootError(f"pods' processes {sorted(pids())} do not end")


def remove_cgroups(settings: Settings) -> None:
    """Remove the cgroups of pods. Raises BootError where some stay busy."""

    def gone() -> bool:
        for folder in pod_cgroups(settings):
            with suppress(OSError):  # busy for a moment after its last process
                folder.rmdir()
        return not pod_cgroups(settings)

    if not await_condition(gone, 10):
        raise BootError(f"cgroups stay busy: {pod_cgroups(settings)[0]}")


def unmount(settings: Settings) -> None:
    """Unmount all that is below the state folder; pods' network namespaces are mounts too."""
    for mount in mounts():
        if mount.point.is_relative_to(settings.state):
            run(["umount", "--lazy", mount.point])


def files() -> set[str]:
    """List everything in FOLDERS, themselves and PARENTS included, but for sockets in use.

    Those are another containerd's.
    """
    in_use = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    found = {str(path) for folder in map(Path, FOLDERS) if folder.exists() for path in [folder, *folder.rglob("*")]}
    return (found | {folder for folder in PARENTS if Path(folder).exists()}) - in_use


def remove(path: Path) -> None:
    """Remove a file, or a folder that is empty."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        with suppress(OSError):  # somebody else's file is in it
            path.rmdir()
