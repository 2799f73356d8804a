"""Which cluster: KUBECONFIG or KUBECONTEXT if given, else the development cluster, else the default.

The kubernetes client is imported where it is used: it takes half a second, and `--help` does without.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yaml import YAMLError

from synaug.errors import UsageError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

DEVELOPMENT = Path(__file__).parents[2] / "work" / "cluster" / "kubeconfig"  # written by `make cluster`
TWO_WAYS = "`make demo` runs the whole job on this machine without one; `make cluster` boots a development cluster here"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the API server is. file None: this process runs in a pod. name: for messages."""

    file: str | None
    context: str | None
    name: str
    development: bool = False


def choose(context: str | None = None) -> Target:
    """Find the cluster that the environment and `context` name. Raises UsageError where none is configured."""
    variable, default = os.environ.get("KUBECONFIG"), Path.home() / ".kube" / "config"
    if variable:
        files = [Path(part) for part in variable.split(os.pathsep) if part]
        if not any(file.is_file() for file in files):
            raise UsageError(
                f"KUBECONFIG={variable}: there is no such file; name one, or leave it out for the development cluster "
                "or ~/.kube/config"
            )
        is_development = (
            context is None and len(files) == 1 and DEVELOPMENT.is_file() and files[0].samefile(DEVELOPMENT)
        )
        return _target(variable, context, is_development)
    if context is None and DEVELOPMENT.is_file():
        return _target(str(DEVELOPMENT), None, True)
    if default.is_file():
        return _target(str(default), context, False)
    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return Target(file=None, context=None, name="this pod's cluster")
    wanted = f" for KUBECONTEXT={context}" if context else ""
    raise UsageError(f"no cluster{wanted}: KUBECONFIG is not set and there is no ~/.kube/config; {TWO_WAYS}")


def _target(file: str, context: str | None, development: bool) -> Target:
    from kubernetes.config import ConfigException, list_kube_config_contexts

    try:
        contexts, active = list_kube_config_contexts(config_file=file)
    except (ConfigException, YAMLError, AttributeError, TypeError) as error:  # the last two: YAML that is no mapping
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"{file} is no kubeconfig ({reason}); name another by KUBECONFIG; {TWO_WAYS}") from error
    known = [entry["name"] for entry in contexts]
    if context is not None and context not in known:
        raise UsageError(f"KUBECONTEXT={context}: {file} has no such context; it has {', '.join(known)}")
    name = "the development cluster" if development else f"context {context or active['name']}"
    return Target(file=file, context=context, name=name, development=development)


def api_client(target: Target) -> "ApiClient":
    """Make a kubernetes ApiClient. Raises UsageError for a kubeconfig that cannot be read."""
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        if target.file is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(config_file=target.file, context=target.context, client_configuration=configuration)
    except config.ConfigException as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{target.name} cannot be used: {reason}; repair {target.file or 'the service account'}"
        ) from error
    configuration.retries = False  # urllib3's own print warnings; ours are reported in one line
    return client.ApiClient(configuration)
