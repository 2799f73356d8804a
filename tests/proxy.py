"""An S3 endpoint with faults: a proxy that answers some requests with 503, and breaks the connection of others."""

import http.client
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FaultyProxy:
    """Forwards to `upstream`; of each hundred requests about `percent` fail.

    In turn: 503, no answer at all, an answer whose body is cut off half way.

    Signatures stay valid: the Host header, which they cover, is passed on as it came. Use as a context manager.
    """

    def __init__(
        self, upstream: str, percent: float, seed: int = 0, kinds: tuple[str, ...] = ("503", "dropped", "cut")
    ) -> None:
        self.host = urlsplit(upstream).netloc
        self.percent, self.requests, self.faults = percent, 0, 0
        self.kinds, self._random, self._lock = kinds, random.Random(seed), threading.Lock()

    def fault(self, path: str) -> str | None:
        with self._lock:
            self.requests += 1
            if self._random.random() * 100 >= self.percent:
                return None
            self.faults += 1
            return self.kinds[self.faults % len(self.kinds)]

    def __enter__(self) -> "FaultyProxy":
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self._body()
                fault = proxy.fault(self.path)
                if fault == "503":
                    self._answer(
                        503,
                        [],
                        b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
                    )
                elif fault == "denied":
                    self._answer(403, [], b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
                elif fault == "stranger":  # as versitygw answers an unknown access key
                    self._answer(
                        404,
                        [],
                        b"<Error><Code>XAdminUserNotFound</Code><Message>The user is not found.</Message></Error>",
                    )
                elif fault == "dropped":
                    self.close_connection = True
                else:
                    upstream = http.client.HTTPConnection(proxy.host, timeout=30)
                    headers = {
                        name: value
                        for name, value in self.headers.items()
                        if name.lower() not in ("expect", "transfer-encoding")
                    }
                    upstream.request(self.command, self.path, body, headers)
                    answer = upstream.getresponse()
                    self._answer(answer.status, answer.getheaders(), answer.read(), cut=fault == "cut")
                    upstream.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = next((value for name, value in headers if name.lower() == "content-length"), str(len(body)))
                self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = self.close_connection or cut

            def log_message(self, *arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
