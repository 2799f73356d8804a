"""The one node: containerd, CNI, kubelet, kube-proxy."""

import json
from pathlib import Path

from k8s.control_plane import DOMAIN, kubectl
from k8s.host import plugin_folder
from k8s.images import PAUSE, contents
from k8s.process import BootError, answers, await_condition, last_line, run, start, succeeds
from k8s.settings import Settings
from k8s.tools import binary


def ctr(settings: Settings, *words: object) -> list:
    """Spell a command to containerd."""
    return ["ctr", "--address", settings.containerd_socket, "--namespace", "k8s.io", *words]


def boot_containerd(settings: Settings) -> None:
    """Start containerd with its network of pods. Raises BootError."""
    state = settings.state
    (state / "containerd.toml").write_text(f"""
version = 2
root = "{state}/containerd"
state = "{state}/containerd-run"
[grpc]
address = "{settings.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{state}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true  # without CAP_SYS_RESOURCE runc dies of it: "can't get final child's PID from pipe"
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{state}/runc"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugin_folder()}"
conf_dir = "{state}/cni"
""")
    (state / "cni").mkdir(exist_ok=True)
    # ptp, not bridge: packets between two pods are routed, so kube-proxy's address translation works without
    # br_netfilter.
    write(
        state / "cni" / "10-synaug.conflist",
        {
            "cniVersion": "0.4.0",
            "name": "synaug",
            "plugins": [
                {
                    "type": "ptp",
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(state / "cni-addresses"),
                        "ranges": [[{"subnet": str(settings.pods)}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        },
    )
    start(
        settings,
        "containerd",
        ["containerd", "--config", state / "containerd.toml"],
        lambda: succeeds(ctr(settings, "version")),
    )


def load_images(settings: Settings) -> None:
    """Start containerd and give it all images. Raises BootError."""
    boot_containerd(settings)
    import_images(settings)


def import_images(settings: Settings) -> None:
    """Import the images that containerd lacks."""
    known = run(ctr(settings, "images", "list", "-q")).split()
    for name, archive in contents().items():
        if name not in known:
            import_archive(settings, archive, name)


def import_archive(settings: Settings, archive: Path, name: str) -> None:
    """Import one image. Raises BootError."""
    run(ctr(settings, "images", "import", archive), what=f"import of image {name}")


def boot(settings: Settings) -> None:
    """Start kubelet and kube-proxy; return when the node is Ready and announces its GPUs. Raises BootError."""
    state, node = settings.state, settings.node_address
    write(
        state / "kubelet.json",
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(node),
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(state / "kubelet-client.crt")},
            },
            "authorization": {"mode": "AlwaysAllow"},  # whoever holds the one certificate
            "containerRuntimeEndpoint": f"unix://{settings.containerd_socket}",
            "clusterDNS": [str(node)],
            "clusterDomain": DOMAIN,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{settings.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "podLogsDir": str(settings.logs / "pods"),
            "volumePluginDir": str(state / "volume-plugins"),
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,  # no registry: an image once removed is gone
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            "maxPods": 200,
        },
    )
    write(
        state / "kube-proxy.json",
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(state / "proxy.kubeconfig")},
            "hostnameOverride": settings.node,
            "bindAddress": str(node),
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "detectLocalMode": "ClusterCIDR",
            "clusterCIDR": str(settings.pods),
            # 0: leave the sysctls alone
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        },
    )
    start(
        settings,
        "kubelet",
        [
            binary("kubelet"),
            "--config",
            state / "kubelet.json",
            "--kubeconfig",
            state / "kubelet.kubeconfig",
            "--root-dir",
            state / "kubelet",
            "--cert-dir",
            state / "kubelet-pki",
            "--hostname-override",
            settings.node,
            "--node-ip",
            node,
        ],
        lambda: answers("http://127.0.0.1:10248/healthz"),
    )
    start(
        settings,
        "kube-proxy",
        [binary("kube-proxy"), "--config", state / "kube-proxy.json"],
        lambda: answers("http://127.0.0.1:10256/healthz"),
    )
    if not await_condition(lambda: ready(settings), 60):
        log = settings.logs / "kubelet.log"
        raise BootError(f"node {settings.node} is not Ready after 60 s; {log} ends: {last_line(log)}")
    announce_gpus(settings)
    account = [binary("kubectl"), "--kubeconfig", settings.kubeconfig, "get", "serviceaccount", "default"]
    if not await_condition(lambda: succeeds(account), 30):  # without it no pod is admitted
        log = settings.logs / "kube-controller-manager.log"
        raise BootError(f"kube-controller-manager: no default account after 30 s; {log} ends: {last_line(log)}")


def ready(settings: Settings) -> bool:
    """Say whether the API server answers and the node is Ready."""
    query = ["get", "node", settings.node, "--output", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}']
    try:
        return settings.kubeconfig.exists() and kubectl(settings, *query) == "True"
    except BootError:  # no server, or the kubelet has not registered the node yet
        return False


def announce_gpus(settings: Settings) -> None:
    """Announce GPUs by name only. A restarted kubelet withdraws them: `up` announces them again."""
    fields = ("capacity", "allocatable")
    patch = [{"op": "add", "path": f"/status/{field}/nvidia.com~1gpu", "value": str(settings.gpus)} for field in fields]
    kubectl(
        settings, "patch", "node", settings.node, "--subresource=status", "--type=json", "--patch", json.dumps(patch)
    )


def write(path: Path, document: dict) -> None:
    """Write a file, or leave it alone where it is right: kube-proxy ends when its configuration is written."""
    text = json.dumps(document, indent=1) + "\n"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
