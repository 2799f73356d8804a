"""What the API server answers, as one line that says what to do."""

import json
import re

from pipelines.api.kubeconfig import TWO_WAYS, Target
from synaug.errors import DataError, ModelError, SynaugError, TransientError, UsageError

FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
ARGO = "argoproj.io"
SHORT = {
    "refused": "connection refused",
    "timed out": "timed out",
    "resol": "its name does not resolve",
    "unreachable": "no route",
}


class NotFound(DataError):
    """The object is not there; the namespace and its kind may be or not."""


class Conflict(DataError):
    """An object of that name is there already."""


def refusal(status: int, body: str, *, method: str, path: str, namespace: str, target: Target) -> SynaugError:
    """Make the error of an HTTP status and the server's answer, a Status object or text."""
    answer = _status_object(body)
    message = " ".join(str(answer.get("message") or body).split())[:400]
    what = f"{method} {path.rsplit('/', 1)[-1]}"
    if status == 401:
        return _no_credentials("401: they are missing, wrong or expired", target)
    if status == 403:
        return _forbidden(message, namespace, target)
    if status == 404:
        return _not_found(answer, message, path, namespace, target)
    if status == 409 and answer.get("reason") == "AlreadyExists":
        return Conflict(f"{message}; `make watch` shows it")
    if status in (409, 429) or status >= 500:
        return TransientError(
            f"{target.name} could not answer {what} ({status}): {message or 'no reason given'}; run it again"
        )
    if status == 413 or "too large" in message.lower():
        return UsageError(
            f"the API server refuses the size of {what}: {message}; give the class list fewer or shorter entries"
        )
    return DataError(
        f"the API server refuses {what} ({status}): {message}; client and chart may differ: `helm upgrade` with this "
        "version's chart"
    )


def _status_object(body: str) -> dict:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _no_credentials(why: str, target: Target) -> SynaugError:
    return ModelError(
        f"{target.name} refuses the credentials ({why}); log in again (as for `kubectl get pods`), or name another "
        "context by KUBECONTEXT"
    )


def _forbidden(message: str, namespace: str, target: Target) -> SynaugError:
    if found := FORBIDDEN.search(message):
        if found["user"] == "system:anonymous":  # a kubeconfig without credentials, or whose helper program failed
            return _no_credentials("none were sent", target)
        group = f".{found['group']}" if found["group"] else ""
        where = f"in namespace {found['namespace']}" if found["namespace"] else "in the cluster"
        return ModelError(
            f"no right to {found['verb']} {found['resource']}{group} {where}: {found['user']} lacks it on "
            f"{target.name}; have your group added to `submitters:` of the chart, or name another namespace "
            "(NAMESPACE) or context (KUBECONTEXT)"
        )
    if "exceeded quota" in message:
        return DataError(
            f"the namespace's quota is used up: {message}; delete finished workflows or have the quota raised"
        )
    if "being terminated" in message:
        return TransientError(
            f"namespace {namespace} is being deleted; wait until it is gone, create it and install the chart again"
        )
    return ModelError(f"{target.name} forbids it: {message}; ask who runs the cluster")


def _not_found(answer: dict, message: str, path: str, namespace: str, target: Target) -> SynaugError:
    if not answer.get("details") and f"/apis/{ARGO}/" in path:  # "404 page not found", or a Status without details
        return DataError(
            f"{target.name} does not know Argo's workflows: the CRDs are missing; install Argo Workflows 3.7 "
            "(k8s/README.md), or `make cluster` for a development cluster that has it"
        )
    if answer.get("details", {}).get("kind") == "namespaces":
        return no_namespace(namespace, target)
    return NotFound(f"{message or 'not found: ' + path}")


def no_namespace(namespace: str, target: Target) -> SynaugError:
    """Make the error of a namespace that is not there."""
    return UsageError(
        f"{target.name} has no namespace {namespace!r}; name the one that synaug is installed in by NAMESPACE, or "
        f"create it and install the chart: kubectl create namespace {namespace} && helm install synaug helm/synaug -n "
        f"{namespace} --set store.url=s3://..."
    )


def unreachable(error: Exception, host: str, target: Target) -> SynaugError:
    """Make the error of a connection that could not be made, was lost, or waited too long."""
    reason = str(getattr(error, "reason", None) or error)
    if "CERTIFICATE_VERIFY_FAILED" in reason or "certificate" in reason.lower():
        return ModelError(
            f"the certificate of {target.name} at {host} does not verify; the kubeconfig is of another or an older "
            "cluster: fetch it again"
        )
    if target.development:
        return TransientError(
            f"the development cluster at {host} does not answer; `make cluster` boots it again; "
            f"{TWO_WAYS.split(';')[0]}"
        )
    return TransientError(
        f"{target.name} at {host} does not answer ({_short(reason)}); is the network or VPN up? Without a cluster: "
        f"{TWO_WAYS}"
    )


def _short(reason: str) -> str:
    for text, words in SHORT.items():
        if text in reason.lower():
            return words
    return " ".join(reason.split())[:100]
