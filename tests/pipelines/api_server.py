"""A tiny HTTP server that answers as a Kubernetes API server does, for the objects that the client uses.

Status objects are those that kube-apiserver 1.34 returns. It keeps Workflows with resource versions and watches; it
runs nothing: a test decides what becomes of a Workflow (`on_create`).
"""

import json
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import yaml

from synaug import __version__

ARGO = "/apis/argoproj.io/v1alpha1/namespaces/"
TEMPLATES = ("run", "plan", "import", "preview", "fetch")
NOW = "2026-11-24T10:00:00Z"


def status(code: int, reason: str, message: str, **details) -> tuple[int, dict]:
    answer = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    return code, answer | {"code": code} | ({"details": details} if details else {})


def forbidden(verb: str, resource: str, group: str = "argoproj.io", user: str = "jane") -> tuple[int, dict]:
    name = f"{resource}.{group}" if group else resource
    refusal = f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}" in the namespace "synaug"'
    message = f"{name} is forbidden: {refusal}"
    return status(403, "Forbidden", message, group=group, kind=resource)


UNAUTHORIZED = status(401, "Unauthorized", "Unauthorized")
NO_SUCH_PATH = (404, "404 page not found\n")  # a group that no CRD defines: text, no Status


class ApiServer:
    """An API server's state and answers.

    answers: [(method, path pattern, answer)], taken before anything else; answer: (code, object or text), or a
    callable.
    """

    def __init__(self, namespace: str = "synaug", version: str = __version__):
        self.namespace, self.changed = namespace, threading.Condition()
        self.workflows: dict[str, dict] = {}
        self.templates = {f"synaug-{name}": template(f"synaug-{name}", version) for name in TEMPLATES}
        self.pods: list[dict] = []
        self.events: list[dict] = []
        self.logs: dict[str, str] = {}
        self.answers: list[tuple[str, str, object]] = []
        self.requests: list[tuple[str, str, object]] = []
        self.on_create: Callable[[dict], None] = lambda workflow: None
        self.on_patch: Callable[[dict], None] = lambda workflow: None
        self.version = 100
        self.tokens: set[str | None] = set()

    def put(self, workflow: dict) -> None:
        """A new state of a Workflow, seen by those who watch."""
        with self.changed:
            self.version += 1
            workflow["metadata"]["resourceVersion"] = str(self.version)
            self.workflows[workflow["metadata"]["name"]] = workflow
            self.changed.notify_all()

    def remove(self, name: str) -> None:
        with self.changed:
            self.version += 1
            del self.workflows[name]
            self.changed.notify_all()

    def answer(self, method: str, path: str, query: dict, body) -> tuple[int, object]:
        self.requests.append((method, path, body))
        for wanted, pattern, given in self.answers:
            if wanted == method and re.search(pattern, path):
                return given() if callable(given) else given
        if path == f"/api/v1/namespaces/{self.namespace}":
            return 200, {"kind": "Namespace", "metadata": {"name": self.namespace}}
        if found := re.fullmatch(r"/api/v1/namespaces/([^/]+)", path):
            return status(404, "NotFound", f'namespaces "{found[1]}" not found', name=found[1], kind="namespaces")
        if path.endswith("/pods"):
            return 200, {
                "items": [pod for pod in self.pods if selected(pod, query.get("labelSelector"))],
                "metadata": {},
            }
        if path.endswith("/events"):
            return 200, {"items": self.events, "metadata": {}}
        if found := re.search(r"/pods/([^/]+)/log$", path):
            return self._log(found[1], query)
        if found := re.fullmatch(rf"{ARGO}([^/]+)/(workflowtemplates|workflows)(?:/([^/]+))?", path):
            return self._argo(method, *found.groups(), query, body)
        return NO_SUCH_PATH

    def _log(self, pod: str, query: dict) -> tuple[int, object]:
        if pod not in self.logs:
            return status(404, "NotFound", f'pods "{pod}" not found', name=pod, kind="pods")
        lines = self.logs[pod].splitlines(keepends=True)
        return 200, "".join(lines[-int(query["tailLines"]) :] if "tailLines" in query else lines)

    def _argo(self, method: str, namespace: str, kind: str, name: str | None, query: dict, body) -> tuple[int, object]:
        held = self.templates if kind == "workflowtemplates" else self.workflows
        if namespace != self.namespace:
            held = {}
        if method == "GET" and name is None:
            return 200, {
                "items": [item for item in held.values() if selected(item, query.get("labelSelector"))],
                "metadata": {},
            }
        if method == "POST":
            return self._create(namespace, body)
        if name not in held:
            return status(
                404, "NotFound", f'{kind}.argoproj.io "{name}" not found', name=name, group="argoproj.io", kind=kind
            )
        if method == "DELETE":
            self.remove(name)
            return 200, {"kind": "Status", "status": "Success"}
        if method == "PATCH":
            held[name]["spec"] |= body["spec"]
            self.put(held[name])
            self.on_patch(held[name])
        return 200, held[name]

    def _create(self, namespace: str, body: dict) -> tuple[int, object]:
        name = body["metadata"]["name"]
        if namespace != self.namespace:
            return status(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace, kind="namespaces")
        if name in self.workflows:
            message = f'workflows.argoproj.io "{name}" already exists'
            return status(409, "AlreadyExists", message, name=name, group="argoproj.io", kind="workflows")
        body["metadata"] |= {"creationTimestamp": NOW, "uid": f"uid-{self.version}", "namespace": namespace}
        self.put(body)
        self.on_create(body)
        return 201, body


def template(name: str, version: str) -> dict:
    return {
        "kind": "WorkflowTemplate",
        "metadata": {"name": name, "annotations": {"synaug/version": version}},
        "spec": {},
    }


def selected(item: dict, selector: str | None) -> bool:
    labels = item["metadata"].get("labels", {})
    key, equals, value = (selector or "").partition("=")
    return not selector or (labels.get(key) == value if equals else key in labels)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        parts, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
        self.server.api.tokens.add(self.headers.get("Authorization"))
        query, body = dict(parse_qsl(parts.query)), json.loads(self.rfile.read(length)) if length else None
        if query.get("watch"):
            return self._watch(query)
        code, answer = self.server.api.answer(self.command, parts.path, query, body)
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        with suppress(BrokenPipeError):  # a client that gave up
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_PATCH = _handle

    def _watch(self, query: dict):
        """One event for a Workflow newer than the version asked for, or none within timeoutSeconds."""
        api, name = self.server.api, query["fieldSelector"].removeprefix("metadata.name=")
        event = b""
        with api.changed:
            if api.changed.wait_for(
                lambda: api.version > int(query["resourceVersion"]), timeout=int(query["timeoutSeconds"])
            ):
                event = json.dumps({"type": "MODIFIED", "object": api.workflows.get(name, {})}).encode() + b"\n"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if event:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


@contextmanager
def serving(api: ApiServer):
    """Yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.api = True, api
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(path, url: str, context: str = "test"):
    """Writes a kubeconfig with one context; returns its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "a-token"}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
