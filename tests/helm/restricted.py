"""The *restricted* level of the Pod Security Standards, with all of *baseline*, over a pod's spec.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, which the label
pod-security.kubernetes.io/enforce=restricted applies.
"""

from collections.abc import Iterator

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROFILES = {"RuntimeDefault", "Localhost"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def violations(spec: dict) -> Iterator[str]:
    """One line each."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes", ()):
        if wrong := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {', '.join(wrong)}"
    pod = spec.get("securityContext", {})
    if pod.get("sysctls"):
        yield "sysctls"
    yield from _context("pod", pod)
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field, ()):
            yield from (f"container {container['name']}: {line}" for line in _container(pod, container))


def _context(where: str, context: dict) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield f"{where}: runAsUser 0"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in PROFILES:
        yield f"{where}: seccompProfile {context['seccompProfile']['type']}"
    if context.get("seLinuxOptions", {}).get("type", "") not in SELINUX:
        yield f"{where}: seLinuxOptions"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in PROFILES:
        yield f"{where}: appArmorProfile"


def _container(pod: dict, container: dict) -> Iterator[str]:
    own = container.get("securityContext", {})
    yield from _context("securityContext", own)
    if own.get("privileged"):
        yield "privileged"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield "capabilities.drop lacks ALL"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if "seccompProfile" not in own and "seccompProfile" not in pod:
        yield "no seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "hostPort"
