"""A small OpenAI-compatible server on loopback that answers as its test says, also with faults."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VALUES = {
    "foreground": ["painted bright red", "covered in dust", "made of old wood"],
    "background": ["on a stone floor", "beside a calm river", "in a busy street"],
    "lighting": ["soft morning light", "under a grey sky", "lit by candles"],
    "angle": ["seen from above", "close up", "seen from far away"],
}
SENSES = {"senses": [{"sense": "thing", "visual_definition": "a thing that people use"}]}


@dataclass
class Reply:
    """status and body of one answer; content: the text of a chat completion, instead of body."""

    content: str = ""
    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    finish: str = "stop"
    wait: threading.Event | None = None  # answered once it is set


def well(request: dict) -> Reply:
    """Answer every question of ours well, and hold to a schema."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    if "reply" in schema.get("properties", {}):
        return Reply('{"reply": "q7"}')
    text = request["messages"][-1]["content"]
    return Reply(json.dumps(SENSES if '"senses"' in text else {"likely": [2, 1]} if '"likely"' in text else VALUES))


@dataclass
class Server:
    """url: what prompts.llm.endpoint takes. requests: bodies of the chats that came; most: at once, at the peak."""

    url: str
    requests: list[dict] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    most: int = 0


@contextmanager
def llm_server(
    answer: Callable[[dict], Reply] = well, *, models: tuple[str, ...] | None = ("tiny",), key: str | None = None
) -> Iterator[Server]:
    """Serve until the block ends. models None: there is no list of them; key: any other is refused with 401."""
    lock = threading.Lock()
    busy = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.refused():
                return
            if self.path != "/v1/models" or models is None:
                self.send(Reply(status=404, body={"detail": "Not Found"}))
                return
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in models]
            self.send(Reply(body={"object": "list", "data": data}))

        def do_POST(self):
            nonlocal busy
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.refused():
                return
            with lock:
                busy += 1
                server.requests.append(request)
                server.most = max(server.most, busy)
            try:
                reply = answer(request)
                if reply.wait is not None:
                    reply.wait.wait(20)
            finally:
                with lock:
                    busy -= 1
            self.send(reply)

        def refused(self) -> bool:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            server.keys.add(given)
            if key is not None and given != key:
                # as some servers do: the key is repeated
                self.send(Reply(status=401, body={"error": {"message": f"Incorrect API key provided: {given}"}}))
                return True
            return False

        def send(self, reply: Reply):
            body = reply.body
            if body is None and reply.status == 200:
                message = {"role": "assistant", "content": reply.content}
                body = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "tiny",
                    "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
                }
            data = json.dumps(body or {"error": {"message": "no such luck"}}).encode()
            self.send_response(reply.status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                **reply.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client gave up

        def log_message(self, *arguments):
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
