"""etcd, API server, controller manager, scheduler, DNS: processes on the machine, the API on the bridge's address."""

import json
import secrets
from pathlib import Path

from k8s.process import answers, direct, run, start, succeeds
from k8s.settings import Settings
from k8s.tools import binary

ETCD = "http://127.0.0.1:2379"  # pods cannot reach the machine's loopback
USERS = {  # user -> (name in files, group)
    "admin": ("admin", "system:masters"),
    "system:kube-controller-manager": ("controller-manager", ""),
    "system:kube-scheduler": ("scheduler", ""),
    "system:kube-proxy": ("proxy", ""),
    "system:coredns": ("coredns", ""),
}
DOMAIN = "cluster.local"
DNS_ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:coredns}
rules:
- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}
"""


COREFILE = """\
.:53 {{
    bind {node}
    errors
    ready 127.0.0.1:8181
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {state}/coredns.kubeconfig
    }}
    forward . /etc/resolv.conf
    cache 5
}}
"""


def kubectl(settings: Settings, *words: str, input: str | None = None) -> str:
    """Run kubectl as the administrator; return its output. Raises BootError."""
    command = [binary("kubectl"), "--kubeconfig", settings.kubeconfig, *words]
    return run(command, input=input, env=direct(), what=f"kubectl {' '.join(words[:3])}")


def boot(settings: Settings) -> None:
    """Start what does not run and wait for each. Raises BootError."""
    write_credentials(settings)
    state, node = settings.state, settings.node_address
    start(
        settings,
        "etcd",
        [
            binary("etcd"),
            "--name",
            settings.node,
            "--data-dir",
            state / "etcd",
            "--unsafe-no-fsync",  # nothing to lose
            "--listen-client-urls",
            ETCD,
            "--advertise-client-urls",
            ETCD,
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
            "--initial-advertise-peer-urls",
            "http://127.0.0.1:2380",
            "--initial-cluster",
            f"{settings.node}=http://127.0.0.1:2380",
            "--logger",
            "zap",
            "--log-level",
            "warn",
        ],
        lambda: answers(f"{ETCD}/health"),
    )
    start(
        settings,
        "kube-apiserver",
        [
            binary("kube-apiserver"),
            "--etcd-servers",
            ETCD,
            "--bind-address",
            node,
            "--advertise-address",
            node,
            "--secure-port",
            "6443",
            "--cert-dir",
            state / "apiserver",
            "--service-cluster-ip-range",
            settings.services,
            "--token-auth-file",
            state / "tokens.csv",
            "--authorization-mode",
            "Node,RBAC",
            "--enable-admission-plugins",
            "NodeRestriction",
            "--service-account-issuer",
            f"https://kubernetes.default.svc.{DOMAIN}",
            "--service-account-key-file",
            state / "accounts.key",
            "--service-account-signing-key-file",
            state / "accounts.key",
            "--kubelet-client-certificate",
            state / "kubelet-client.crt",
            "--kubelet-client-key",
            state / "kubelet-client.key",
            "--kubelet-preferred-address-types",
            "InternalIP",  # the node's name resolves nowhere
        ],
        lambda: (
            (state / "apiserver/apiserver.crt").exists()
            and succeeds([binary("kubectl"), "--kubeconfig", settings.kubeconfig, "get", "--raw", "/readyz"])
        ),
    )
    # The certificate that the API server signed for itself is its own root.
    start(
        settings,
        "kube-controller-manager",
        [
            binary("kube-controller-manager"),
            "--kubeconfig",
            state / "controller-manager.kubeconfig",
            "--leader-elect=false",
            "--bind-address",
            "127.0.0.1",
            "--use-service-account-credentials",
            "--service-account-private-key-file",
            state / "accounts.key",
            "--root-ca-file",
            state / "apiserver/apiserver.crt",
        ],
        lambda: answers("https://127.0.0.1:10257/healthz"),
    )
    start(
        settings,
        "kube-scheduler",
        [
            binary("kube-scheduler"),
            "--kubeconfig",
            state / "scheduler.kubeconfig",
            "--leader-elect=false",
            "--bind-address",
            "127.0.0.1",
        ],
        lambda: answers("https://127.0.0.1:10259/healthz"),
    )
    kubectl(settings, "apply", "--filename", "-", input=DNS_ROLE)
    (state / "Corefile").write_text(COREFILE.format(node=node, domain=DOMAIN, state=state))
    start(
        settings,
        "coredns",
        [binary("coredns"), "-conf", state / "Corefile"],
        lambda: answers("http://127.0.0.1:8181/ready"),
    )


def write_credentials(settings: Settings) -> None:
    """Write tokens, keys and a kubeconfig a user; those that exist stay."""
    state = settings.state
    users = USERS | {f"system:node:{settings.node}": ("kubelet", "system:nodes")}
    table = state / "tokens.csv"
    if not table.exists():
        tokens = {user: secrets.token_hex(16) for user in users}
        for user, (name, _) in users.items():
            path = settings.kubeconfig if name == "admin" else state / f"{name}.kubeconfig"
            path.write_text(kubeconfig(settings, user, tokens[user]))
        write_private(table, "".join(f'{tokens[user]},{user},{user},"{group}"\n' for user, (_, group) in users.items()))
    if not (state / "accounts.key").exists():
        run(["openssl", "genrsa", "-out", state / "accounts.key", "2048"])
    # signed by itself: the kubelet trusts this one certificate and nobody else
    if not (state / "kubelet-client.crt").exists():
        run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "3650",
                "-subj",
                "/O=system:masters/CN=kube-apiserver",
                "-keyout",
                state / "kubelet-client.key",
                "-out",
                state / "kubelet-client.crt",
            ]
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_text(text)


def kubeconfig(settings: Settings, user: str, token: str) -> str:
    """Make the kubeconfig of one user; JSON is YAML."""
    cluster = {"server": settings.server, "certificate-authority": str(settings.state / "apiserver/apiserver.crt")}
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "synaug-development",
                "clusters": [{"name": "synaug-development", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [
                    {"name": "synaug-development", "context": {"cluster": "synaug-development", "user": user}}
                ],
            },
            indent=1,
        )
        + "\n"
    )
