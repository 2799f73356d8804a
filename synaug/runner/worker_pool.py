"""Worker processes that take tasks: torch is imported once and forked, a task costs no start-up, nobody outlives the runner."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection, forkserver
from typing import Any

from synaug.errors import TransientError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# glibc gives large blocks back to the kernel and faults them in again; with these it keeps them (a third of the CPU time of small models)
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912",
}
# locks of killed workers are removed by Python's resource tracker, which would print a warning at each Ctrl-C
QUIET = {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker"}


class Workers:
    """`count` processes; `submit` hands a call to a free one, `events` yields what they say.

    Events are (tag, kind, value): kind `report` while a call runs; `done`, or `failed` with (exit code, line), at its end.
    function must be importable: function(argument, report).
    """

    def __init__(self, count: int, *, threads: int, preload: list[str]):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)) | MALLOC | QUIET)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(preload)
        # what the server inherits at its start: a Ctrl-C of the terminal reaches it too, and the runner is who ends it
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, handler)
        self.free: list[_Worker] = [_Worker(self.context) for _ in range(count)]
        self.busy: dict[connection.Connection, _Worker] = {}

    def submit(self, tag: Any, function: Callable, argument: Any) -> None:
        worker = self.free.pop()
        worker.tag = tag
        worker.pipe.send((function, argument))
        self.busy[worker.pipe] = worker

    def events(self) -> Iterator[tuple[Any, str, Any]]:
        """Until something happened to at least one busy worker; the ended ones are free again."""
        for pipe in connection.wait(list(self.busy)):
            worker = self.busy[pipe]
            try:
                kind, value = pipe.recv()
            except (EOFError, ConnectionResetError):
                worker.process.join()
                code = worker.process.exitcode
                kind, value = "failed", (128 - code if code < 0 else code, _obituary(code))
                del self.busy[pipe]
                self.free.append(_Worker(self.context))
            else:
                if kind != "report":
                    self.free.append(self.busy.pop(pipe))
            yield worker.tag, kind, value

    def close(self) -> None:
        workers = [*self.free, *self.busy.values()]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


class _Worker:
    def __init__(self, context):
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=False)
        self.process.start()
        theirs.close()
        self.tag: Any = None


def _obituary(code: int) -> str:
    if code == TransientError.exit_code:
        return "it made no progress and ended itself (compute.stall_minutes); its stacks are in its log, run again to go on"
    if code == -signal.SIGKILL:
        return "its process was killed by SIGKILL (out of memory?); run again to go on"
    return f"its process ended with {code}"


def serve(pipe: connection.Connection) -> None:
    """A worker's life: one call after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all; the runner ends the workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            function, argument = pipe.recv()
        except EOFError:
            return
        pipe.send(function(argument, lambda value: pipe.send(("report", value))))


def _die_with_parent() -> None:
    """The forked process's parent is the fork server, so that PR_SET_PDEATHSIG would watch the wrong one: wait for the runner's end."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
