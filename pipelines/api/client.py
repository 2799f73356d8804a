"""The Kubernetes API as the client uses it: plain objects (dicts) of one namespace, each failure one line.

The kubernetes client is imported where it is used: it takes half a second, and `--help` does without.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from pipelines.api.errors import NotFound, refusal, unreachable
from pipelines.api.kubeconfig import Target, api_client, choose
from synaug.errors import ModelError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

ARGO = "/apis/argoproj.io/v1alpha1"
CONNECT, READ = 5, 20  # seconds
PAGE = 500
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"


class Cluster:
    """One namespace of a cluster.

    Every method raises the SynaugErrors of pipelines.api.errors; NotFound where an object is not there.
    """

    def __init__(self, api: "ApiClient", namespace: str, target: Target):
        self.api, self.namespace, self.target = api, namespace, target
        self.workflows = f"{ARGO}/namespaces/{namespace}/workflows"
        self.templates = f"{ARGO}/namespaces/{namespace}/workflowtemplates"
        self.core = f"/api/v1/namespaces/{namespace}"

    def template(self, name: str) -> dict:
        """Read a WorkflowTemplate."""
        return self._json("GET", f"{self.templates}/{name}")

    def workflow(self, name: str) -> dict | None:
        """Read a Workflow; None where there is none."""
        try:
            return self._json("GET", f"{self.workflows}/{name}")
        except NotFound:
            return None

    def workflows_of(self, label_selector: str) -> list[dict]:
        """List the Workflows with a label."""
        return self._list(self.workflows, labelSelector=label_selector)

    def create_workflow(self, body: dict) -> dict:
        """Create a Workflow; return it as the server has it."""
        return self._json("POST", self.workflows, body=body)

    def patch_workflow(self, name: str, patch: dict) -> dict:
        """Merge `patch` into a Workflow."""
        return self._json("PATCH", f"{self.workflows}/{name}", body=patch, content_type=MERGE_PATCH)

    def delete_workflow(self, name: str) -> None:
        """Delete a Workflow in the foreground: it is gone when its pods are. One that is gone already is fine."""
        try:
            self._json("DELETE", f"{self.workflows}/{name}", body={"propagationPolicy": "Foreground"})
        except NotFound:
            return

    def await_change(self, name: str, version: str, seconds: float) -> None:
        """Wait until the Workflow changes after resourceVersion `version`, `seconds` at the longest."""
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "resourceVersion": version}
        response = self._call(
            "GET", self.workflows, query | {"timeoutSeconds": max(1, round(seconds))}, read=seconds + READ
        )
        try:
            next(self._lines(response), None)
        finally:
            response.close()

    def pods(self, label_selector: str) -> list[dict]:
        """List the pods with a label."""
        return self._list(f"{self.core}/pods", labelSelector=label_selector)

    def pod_events(self) -> list[dict]:
        """List the events of the namespace's pods."""
        return self._list(f"{self.core}/events", fieldSelector="involvedObject.kind=Pod")

    def log(self, pod: str, container: str = "main", tail: int | None = None) -> str:
        """Read a container's log; tail: its last lines only."""
        query: dict[str, Any] = {"container": container} | ({"tailLines": tail} if tail else {})
        return self._call("GET", f"{self.core}/pods/{pod}/log", query, read=READ).data.decode(errors="replace")

    def follow_log(self, pod: str, container: str = "main") -> Iterator[str]:
        """Yield a log's lines as they come, until the container ends."""
        query = {"container": container, "follow": "true"}
        response = self._call("GET", f"{self.core}/pods/{pod}/log", query, read=None)
        try:
            yield from self._lines(response)
        finally:
            response.close()

    def check_namespace(self) -> None:
        """Raise UsageError where the namespace is surely missing; people may lack the right to look."""
        try:
            self._json("GET", f"/api/v1/namespaces/{self.namespace}")
        except ModelError:  # forbidden: it may be there
            return

    def _list(self, path: str, **query: str) -> list[dict]:
        items: list[dict] = []
        token = None
        while True:
            page = self._json("GET", path, query={"limit": PAGE, **query} | ({"continue": token} if token else {}))
            items += page.get("items", [])
            token = page.get("metadata", {}).get("continue")
            if not token:
                return items

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict | None = None,
        content_type: str = JSON,
    ) -> dict:
        return json.loads(self._call(method, path, query, body, content_type, read=READ).data)

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: dict | None = None,
        content_type: str = JSON,
        *,
        read: float | None,
    ) -> "BaseHTTPResponse":
        from kubernetes.client import ApiException

        headers = {"Content-Type": content_type, "Accept": "application/json, */*"} | self.api.default_headers
        parameters, host = list((query or {}).items()), self.api.configuration.host
        self.api.update_params_for_auth(headers, parameters, ["BearerToken"])
        try:  # not ApiClient.call_api: it fails over the missing body of a TLS error
            return self.api.rest_client.request(
                method,
                host + path,
                query_params=parameters,
                headers=headers,
                body=body,
                _preload_content=False,
                _request_timeout=(CONNECT, read),
            )
        except ApiException as error:
            if not error.status:  # a TLS error
                raise unreachable(error, host, self.target) from error
            answer = (error.body or b"").decode(errors="replace")
            raise refusal(
                error.status, answer, method=method, path=path, namespace=self.namespace, target=self.target
            ) from error
        except HTTPError as error:
            raise unreachable(error, host, self.target) from error

    def _lines(self, response: "BaseHTTPResponse") -> Iterator[str]:
        rest = b""
        try:
            for chunk in response.stream(amt=None, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except HTTPError as error:
            raise unreachable(error, self.api.configuration.host, self.target) from error
        if rest:
            yield rest.decode(errors="replace")


def connect(namespace: str, context: str | None = None) -> Cluster:
    """Make the client of one namespace; open no connection yet. Raises UsageError where no cluster is configured."""
    target = choose(context)
    return Cluster(api_client(target), namespace, target)
