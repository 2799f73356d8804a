import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from synaug.backends import hub
from synaug.errors import ModelError, TransientError


@pytest.fixture
def answering(monkeypatch):
    """answering(status, ...): a hub that answers with these in turn, then with the last one. Returns what was asked."""
    servers = []

    def start(*statuses: int) -> list[str]:
        asked, left = [], list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = b'{"id": "nobody/nothing", "sha": "0123"}'
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        at(f"http://127.0.0.1:{server.server_port}")
        return asked

    def at(endpoint: str) -> None:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub, "PAUSES", (0.0, 0.0))

    at("http://127.0.0.1:9")  # nobody listens
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_hub_that_is_out_of_reach_is_transient(answering):
    with pytest.raises(
        TransientError, match=r"hub stays out of reach .*nobody/nothing at 'v1'.*run again.*images.model"
    ):
        hub.find_model("nobody/nothing", "v1", role="diffusion")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again_and_then_transient(answering, status):
    asked = answering(status)
    with pytest.raises(TransientError, match="hub stays out of reach"):
        hub.find_model("nobody/nothing", None, role="llm")
    assert len(asked) == 3


def test_a_hub_that_was_busy_for_a_moment_is_believed(answering):
    answering(503, 429, 200)
    assert hub.find_model("nobody/nothing", None, role="llm") == ("0123", "not stated")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_a_matter_of_credentials(answering, status):
    asked = answering(status)
    with pytest.raises(ModelError, match=r"no right to it: nobody/nothing; set HF_TOKEN"):
        hub.find_model("nobody/nothing", None, role="llm")
    assert len(asked) == 1


def test_a_model_that_the_hub_does_not_have_is_refused(answering):
    answering(404)
    with pytest.raises(ModelError, match=r"no such model or revision on the hub: nobody/nothing"):
        hub.find_model("nobody/nothing", None, role="llm")


def test_a_hub_that_fails_while_weights_are_loaded_is_transient(answering):
    """As transformers and open_clip wrap it: the cause is further down."""
    from huggingface_hub import HfApi

    answering(503)
    with pytest.raises(OSError) as raised:
        try:
            HfApi().model_info("nobody/nothing")
        except Exception as error:
            raise OSError("We couldn't connect to the hub") from error
    assert isinstance(hub.load_error(raised.value, "the LLM", "x"), TransientError)
    assert isinstance(hub.load_error(OSError("no file named model.safetensors"), "the LLM", "x"), ModelError)


COMMIT = "a" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache that holds nobody/nothing at COMMIT."""
    model = tmp_path / "models--nobody--nothing"
    (model / "snapshots" / COMMIT).mkdir(parents=True)
    (model / "snapshots" / COMMIT / "README.md").write_text("---\nlicense: mit\n---\n")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def read_only(monkeypatch, folder):
    """root, as which tests may run, could write what only its mode protects."""
    access = hub.os.access
    monkeypatch.setattr(hub.os, "access", lambda path, mode: str(path) != str(folder) and access(path, mode))


def test_a_cache_that_cannot_be_written_decides_before_the_hub(answering, cache, monkeypatch):
    asked = answering(200)
    assert hub.find_model("nobody/nothing", None, role="llm") == ("0123", "not stated")
    read_only(monkeypatch, cache)
    del asked[:]
    for revision in (None, "main", COMMIT):
        assert hub.find_model("nobody/nothing", revision, role="llm") == (COMMIT, "mit")
    assert asked == []


@pytest.mark.parametrize(("name", "revision"), [("nobody/nothing", "v2"), ("nobody/other", None)])
def test_what_such_a_cache_does_not_hold_is_asked_of_the_hub(answering, cache, monkeypatch, name, revision):
    answering(200)
    read_only(monkeypatch, cache)
    assert hub.find_model(name, revision, role="llm")[0] == "0123"


def test_offline_mode_asks_nobody(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="not in the local cache"):
        hub.find_model("nobody/nothing", None, role="llm")


def test_what_is_no_name_at_all_is_refused():
    with pytest.raises(ModelError, match="neither a folder nor a hub name"):
        hub.find_model("no such/folder/here", None, role="llm")


def test_a_folder_is_known_by_its_contents(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    before = hub.find_model(str(tmp_path), None, role="llm")
    assert before == hub.find_model(str(tmp_path), None, role="llm")
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert before != hub.find_model(str(tmp_path), None, role="llm")
