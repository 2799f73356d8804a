"""Where the development cluster lives: folders, addresses, names. Everything else in this package takes a Settings."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from synaug.errors import UsageError

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = REPOSITORY / "k8s" / "tools"
# RFC 2544, for benchmarks: routed nowhere. The documentation ranges are taken on some machines.
ADDRESSES = "198.18.0.0/15"
SOCKET_LIMIT = 107  # bytes in a Unix socket's path


def cache_folder() -> Path:
    """Find the folder of what outlives a cluster: built tools, the base image, the container images."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synaug"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where one cluster is. Raises UsageError for addresses or a state folder that cannot serve."""

    # as the kernel names mounts below it
    state: Path = field(default_factory=lambda: (REPOSITORY / "work" / "cluster").resolve())
    addresses: str = ADDRESSES
    # mounted by the pods
    environment: Path = field(default_factory=lambda: Path(os.environ.get("VENV") or REPOSITORY / ".venv"))
    gpus: int = 2  # announced, not there

    node: str = "synaug"
    bridge: str = "synaug0"  # holds the node's address; many kernels lack `dummy`
    table: str = "synaug"  # nftables
    cgroup: str = "synaug"  # below it, all pods

    def __post_init__(self):
        if len(os.fsencode(self.containerd_socket)) > SOCKET_LIMIT:
            raise UsageError(
                f"{self.containerd_socket}: a Unix socket's path has at most {SOCKET_LIMIT} bytes; move the repository"
            )
        try:
            network = IPv4Network(self.addresses)
        except ValueError as error:
            raise UsageError(f"addresses {self.addresses}: {error}; give an IPv4 network such as {ADDRESSES}") from None
        if network.prefixlen > 20:
            raise UsageError(
                f"addresses {self.addresses}: too few for node, pods and services; give a /20 or larger, such as "
                f"{ADDRESSES}"
            )

    @cached_property
    def _parts(self) -> tuple[IPv4Network, IPv4Network, IPv4Network]:
        low, services = IPv4Network(self.addresses).subnets(1)
        node, pods = low.subnets(1)
        return node, pods, services

    @property
    def node_address(self) -> IPv4Address:
        return self._parts[0][1]

    @property
    def pods(self) -> IPv4Network:
        return self._parts[1]

    @property
    def services(self) -> IPv4Network:
        return self._parts[2]

    @property
    def server(self) -> str:
        """Spell the API server's URL: its certificate is valid for this address, not for 127.0.0.1."""
        return f"https://{self.node_address}:6443"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"
