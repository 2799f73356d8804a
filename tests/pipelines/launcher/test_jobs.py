"""The launcher's API, through the kubernetes client, against a server that answers as an API server does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines.launcher import jobs as module
from pipelines.launcher.jobs import TrainingJobs
from synaug.errors import DataError, ModelError, TransientError, UsageError

JOBS = "/apis/kubeflow.org/v1/namespaces/synaug/pytorchjobs"
NO_SUCH_OBJECT = (404, {"kind": "Status", "reason": "NotFound", "details": {"name": "a", "kind": "pytorchjobs"}})
NO_SUCH_KIND = (404, "404 page not found\n")


class Server:
    """answers: lists of (status, body) by method and path, the last one for ever. asked: what came."""

    def __init__(self):
        self.answers: dict[str, list] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(f"{self.command} {self.path}")
                waiting = outer.answers[f"{self.command} {self.path.partition('?')[0]}"]
                status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if status is None:  # the connection is lost
                    return
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def jobs(server, monkeypatch):
    from kubernetes.client import ApiClient, Configuration

    monkeypatch.setattr(module, "PAUSE", 0.01)
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.server.server_address[1]}"
    configuration.retries = 0
    return TrainingJobs("synaug", ApiClient(configuration), patience=0.3)


def test_a_job_that_is_there_and_one_that_is_not(server, jobs):
    server.answers = {f"GET {JOBS}/a": [(200, {"metadata": {"name": "a"}})], f"GET {JOBS}/b": [NO_SUCH_OBJECT]}
    assert jobs.get("a") == {"metadata": {"name": "a"}}
    assert jobs.get("b") is None


def test_a_name_that_is_taken_is_no_error(server, jobs):
    server.answers = {f"POST {JOBS}": [(201, {}), (409, {"kind": "Status", "reason": "AlreadyExists"})]}
    assert jobs.create({"metadata": {"name": "a"}}) is True
    assert jobs.create({"metadata": {"name": "a"}}) is False


def test_an_api_server_that_restarts_is_waited_for(server, jobs):
    server.answers = {
        f"GET {JOBS}/a": [(None, ""), (503, "shutting down"), (429, "slow down"), (200, {"metadata": {}})]
    }
    assert jobs.get("a") == {"metadata": {}}
    assert len(server.asked) == 4


@pytest.mark.parametrize("answer", [(503, "no"), (None, "")])
def test_one_that_stays_away_is_transient(server, jobs, answer):
    server.answers = {f"GET {JOBS}/a": [answer]}
    with pytest.raises(TransientError, match="stays out of reach to get pytorchjobs"):
        jobs.get("a")


@pytest.mark.parametrize("answer, error, said", [
    (NO_SUCH_KIND, UsageError, "install Kubeflow's training operator"),
    ((403, {"kind": "Status", "reason": "Forbidden"}), ModelError,
     "may not get pytorchjobs in synaug .403.*helm upgrade"),
    ((422, {"kind": "Status", "message": "spec is invalid"}), DataError,
     "refuses to get pytorchjobs .422.: .*spec is invalid"),
])  # fmt: skip
def test_a_refusal_is_permanent_and_says_what_to_do(server, jobs, answer, error, said):
    server.answers = {f"GET {JOBS}/a": [answer]}
    with pytest.raises(error, match=said):
        jobs.get("a")
    assert len(server.asked) == 1


def test_removing_waits_until_the_job_is_gone_with_its_pods(server, jobs):
    server.answers = {f"DELETE {JOBS}/a": [(200, {})], f"GET {JOBS}/a": [(200, {}), (200, {}), NO_SUCH_OBJECT]}
    jobs.remove("a")
    assert server.asked[0] == f"DELETE {JOBS}/a?propagationPolicy=Foreground" and len(server.asked) == 4


def test_one_that_does_not_go_is_said(server, jobs):
    server.answers = {f"DELETE {JOBS}/a": [(200, {})], f"GET {JOBS}/a": [(200, {})]}
    with pytest.raises(TransientError, match="deleted but its pods do not end"):
        jobs.remove("a", within=0.05)


def test_removing_what_is_gone_already_is_fine(server, jobs):
    server.answers = {f"DELETE {JOBS}/a": [NO_SUCH_OBJECT], f"GET {JOBS}/a": [NO_SUCH_OBJECT]}
    jobs.remove("a")


def test_jobs_of_a_workflow_pods_and_events_of_a_job(server, jobs):
    items = {"items": [{"metadata": {"name": "x"}}]}
    core = "/api/v1/namespaces/synaug"
    server.answers = {f"GET {path}": [(200, items)] for path in (JOBS, f"{core}/pods", f"{core}/events")}
    assert jobs.of("first-4f2a") == jobs.pods("a") == jobs.events("u-1") == items["items"]
    assert server.asked == [
        f"GET {JOBS}?labelSelector=synaug%2Fworkflow%3Dfirst-4f2a",
        f"GET {core}/pods?labelSelector=training.kubeflow.org%2Fjob-name%3Da",
        f"GET {core}/events?fieldSelector=involvedObject.uid%3Du-1",
    ]


def test_the_end_of_a_workers_log_and_of_one_that_has_none(server, jobs):
    path = "GET /api/v1/namespaces/synaug/pods/a/log"
    answers = [
        (200, "step 40\n"),
        (404, {"reason": "NotFound"}),
        (400, {"reason": "BadRequest"}),
        (502, "no route to host"),
        (None, ""),
    ]
    server.answers = {path: [*answers]}
    assert [jobs.log("a", 100) for _ in answers] == ["step 40\n", "", "", "", ""]
    assert len(server.asked) == len(answers), "a log is not waited for: the verdict matters more"
    assert server.asked[0] == f"{path}?container=pytorch&tailLines=100"


def test_outside_of_a_pod_a_person_is_told_what_to_use(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UsageError, match="make submit"):
        module.in_this_pod()
