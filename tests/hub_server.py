"""A model hub on loopback: repositories of files, each at one commit; counts what is asked of it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c" * 40


@dataclass
class Repository:
    """A model: its files, its card's licence, and who may read it."""

    files: dict[str, bytes]
    card: dict = field(default_factory=dict)
    gated: bool = False  # listed for everybody, files for nobody


@dataclass
class Hub:
    """repositories: by name; asked: paths, in order; url: where it listens."""

    repositories: dict[str, Repository]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def downloads(self) -> list[str]:
        """List the files that were sent, in order of name."""
        return sorted(
            {
                path.split("/resolve/")[1].split("/", 1)[1]
                for path in self.asked
                if path.startswith("GET /") and "/resolve/" in path
            }
        )


@contextmanager
def serve(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Serve repositories until the block ends."""
    hub = Hub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            hub.asked.append(f"{self.command} {self.path}")
            path = unquote(self.path.split("?")[0])
            for name, repository in hub.repositories.items():
                if path == f"/api/models/{name}/auth-check":
                    return self._answer(403 if repository.gated else 200, b"{}", error="GatedRepo")
                if path.startswith(f"/api/models/{name}"):
                    return self._answer(200, json.dumps(_info(name, repository)).encode())
                if path.startswith(f"/{name}/resolve/"):
                    data = repository.files.get(path.removeprefix(f"/{name}/resolve/").split("/", 1)[1])
                    if repository.gated:
                        return self._answer(403, b"", error="GatedRepo")
                    return self._answer(404, b"", error="EntryNotFound") if data is None else self._answer(200, data)
            self._answer(404, b"", error="RepoNotFound")

        do_HEAD = do_GET

        def _answer(self, status, body, error=None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if status >= 400:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _info(name: str, repository: Repository) -> dict:
    return {
        "id": name,
        "sha": COMMIT,
        "gated": "auto" if repository.gated else False,
        "cardData": repository.card,
        "siblings": [{"rfilename": path, "size": len(data)} for path, data in repository.files.items()],
    }
