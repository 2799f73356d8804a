"""PyTorchJobs of this pod's namespace, by its own account's token: the launcher's and the exit handler's API.

The kubernetes client is imported where it is used: it takes half a second, and `--help` does without.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from pipelines import names
from pipelines.workflow import training_job
from synaug.errors import DataError, ModelError, SynaugError, TransientError, UsageError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PATIENCE = 300.0  # seconds that the API server may stay away: it restarts, is upgraded, sheds load
PAUSE = 2.0
TIMEOUT = (5, 30)  # seconds to connect, to read
RAW = {"_preload_content": False, "_request_timeout": TIMEOUT}  # the answer as it came: JSON
NOT_ALLOWED = object()


class TrainingJobs:
    """Plain objects (dicts) in and out. Waits out an API server that is away, then TransientError."""

    def __init__(self, namespace: str, api_client: "ApiClient | None" = None, *, patience: float = PATIENCE):
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        self.namespace, self.patience = namespace, patience
        self.core, self.custom = CoreV1Api(api_client), CustomObjectsApi(api_client)
        self.where = {
            "group": training_job.GROUP,
            "version": training_job.VERSION,
            "namespace": namespace,
            "plural": training_job.PLURAL,
            "_request_timeout": TIMEOUT,
        }

    def get(self, name: str) -> dict[str, Any] | None:
        """Read a job; None where there is none."""
        return self._call(
            "get", lambda: self.custom.get_namespaced_custom_object(name=name, **self.where), missing=None
        )

    def of(self, workflow: str) -> list[dict[str, Any]]:
        """List the jobs of one workflow."""
        selector = f"{names.WORKFLOW_LABEL}={workflow}"
        page = self._call(
            "list", lambda: self.custom.list_namespaced_custom_object(label_selector=selector, **self.where)
        )
        return page["items"]

    def create(self, body: dict[str, Any]) -> bool:
        """Create a job; False where there is one of that name: also when the answer to an earlier try was lost."""

        def call() -> bool:
            self.custom.create_namespaced_custom_object(body=body, **self.where)
            return True

        return self._call("create", call, existing=False)

    def delete(self, name: str) -> None:
        """Delete a job in the foreground: it is gone when its pods are. One that is gone already is fine."""
        options = {"propagation_policy": "Foreground"}
        self._call(
            "delete",
            lambda: self.custom.delete_namespaced_custom_object(name=name, **options, **self.where),
            missing=None,
        )

    def pods(self, job: str) -> list[dict[str, Any]]:
        """List a job's workers."""
        selector = f"training.kubeflow.org/job-name={job}"
        return self._list("pods", lambda: self.core.list_namespaced_pod(self.namespace, label_selector=selector, **RAW))

    def log(self, pod: str, lines: int) -> str:
        """Read the end of a worker's log; empty where none is to be had: its pod or its node is gone.

        Waits for nothing: the log only helps.
        """
        from kubernetes.client import ApiException

        query = {"container": training_job.CONTAINER, "tail_lines": lines}
        try:
            return self.core.read_namespaced_pod_log(pod, self.namespace, **query, **RAW).data.decode(errors="replace")
        except (ApiException, HTTPError):
            return ""

    def events(self, uid: str) -> list[dict[str, Any]]:
        """List the events of one job, by its uid: those of an older one of the name are kept for an hour."""
        selector = f"involvedObject.uid={uid}"
        return self._list(
            "events", lambda: self.core.list_namespaced_event(self.namespace, field_selector=selector, **RAW)
        )

    def remove(self, name: str, *, within: float = PATIENCE) -> None:
        """Delete a job and await its end. Raises TransientError when it is still there after `within` seconds."""
        self.delete(name)
        until = time.monotonic() + within
        while self.get(name) is not None:
            if time.monotonic() > until:
                raise TransientError(
                    f"PyTorchJob {name} was deleted but its pods do not end within {within:.0f} s; is their node lost?"
                )
            time.sleep(PAUSE)

    def _list(self, what: str, call: Callable[[], Any]) -> list[dict[str, Any]]:
        return json.loads(self._call("list", call, what=what).data)["items"]

    def _call(
        self,
        verb: str,
        call: Callable[[], Any],
        what: str = training_job.PLURAL,
        *,
        missing: Any = NOT_ALLOWED,
        existing: Any = NOT_ALLOWED,
    ) -> Any:
        """Call until the API server answers. missing, existing: what to return for a 404 and a 409, if allowed."""
        from kubernetes.client import ApiException

        until = time.monotonic() + self.patience
        while True:
            away: ApiException | HTTPError
            try:
                return call()
            except ApiException as error:
                if error.status == 404 and missing is not NOT_ALLOWED and _is_of_one_object(error):
                    return missing
                if error.status == 409 and existing is not NOT_ALLOWED:
                    return existing
                if error.status not in (0, 429) and error.status < 500:
                    raise _permanent(error, verb, what, self.namespace) from error
                away, reason = error, f"{error.status} {error.reason}"
            except HTTPError as error:
                away, reason = error, str(error)
            if time.monotonic() > until:
                raise TransientError(
                    f"the Kubernetes API server stays out of reach to {verb} {what}: {reason}"
                ) from away
            time.sleep(PAUSE)


def _text(error: "ApiException") -> str:
    return error.body if isinstance(error.body, str) else (error.body or b"").decode()


def _is_of_one_object(error: "ApiException") -> bool:
    """404 for a missing object carries its details; 404 for a missing kind is the plain text `404 page not found`."""
    return '"details"' in _text(error)


def _permanent(error: "ApiException", verb: str, what: str, namespace: str) -> SynaugError:
    if error.status == 404:
        return UsageError(
            f"the cluster knows no {what}.{training_job.GROUP}: install Kubeflow's training operator 1.9 "
            "(k8s/README.md)"
        )
    if error.status in (401, 403):
        return ModelError(
            f"this pod may not {verb} {what} in {namespace} ({error.status}); its account comes with the chart: "
            "helm upgrade"
        )
    text = " ".join(_text(error).split())
    return DataError(f"the API server refuses to {verb} {what} ({error.status}): {text[:300]}")


def in_this_pod() -> TrainingJobs:
    """Open the API of the pod that this process runs in. Raises UsageError outside of a pod with a token."""
    from kubernetes import config

    try:
        config.load_incluster_config()
    except config.ConfigException as error:
        raise UsageError(
            "this command runs in the workflow's own pods, with their account's token; people use `make submit`"
        ) from error
    return TrainingJobs(NAMESPACE.read_text().strip())
