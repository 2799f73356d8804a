"""Worker processes: torch is imported once and forked, a task costs no start-up, nobody outlives the runner.

`Workers` hands a task to whoever is free. `WorkerCrew` makes one call in each process at the same time: what it
measures is as slow as it will be in the run.
"""

import importlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NamedTuple

from synaug import telemetry
from synaug.backends.memory import LOAD_LOCK
from synaug.errors import SynaugError, TransientError, describe
from synaug.runner.execute import captured_output

IMPORTS = "synaug.runner.worker_imports"

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# glibc gives large blocks back to the kernel and faults them in again, a third of the CPU time of small models; with
# these it keeps them
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912",
}
# locks of killed workers are removed by Python's resource tracker, which would print a warning at each Ctrl-C
QUIET = {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker"}


# Of the fork server alone: diffusers asks for the number of GPUs when it is imported. Once CUDA itself was asked, no
# forked process can use it; NVML's answer does no harm, and of no visible GPUs there is nothing to ask.
WITHOUT_GPUS = {"CUDA_VISIBLE_DEVICES": "", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


class WorkerEvent(NamedTuple):
    """What a worker says of a task.

    kind: `report` while it runs; `done`, or `failed` with (exit code, line) as value, at its end.
    """

    tag: Any
    kind: str
    value: Any


class Workers:
    """`count` processes; `submit` hands a call to a free one, `events` yields what they say.

    gpus: of each process, the GPUs that it sees (CUDA_VISIBLE_DEVICES), held by one live process at a time; None: each
    sees those of this process.
    """

    def __init__(self, count: int, *, threads: int, preload: list[str], gpus: Sequence[str] | None = None):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)) | MALLOC | QUIET)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(preload)
        # what the server inherits at its start: a Ctrl-C of the terminal reaches it too, and the runner is who ends it
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with _environment(WITHOUT_GPUS):
                forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, handler)
        assert gpus is None or len(gpus) == count
        if gpus is not None:
            os.environ[LOAD_LOCK] = str(Path(tempfile.gettempdir()) / f"synaug-load-{os.getpid()}.lock")
        own = os.environ.get("CUDA_VISIBLE_DEVICES")
        self.free: list[_Worker] = [_Worker(self.context, own if gpus is None else gpus[n]) for n in range(count)]
        self.busy: dict[connection.Connection, _Worker] = {}

    def retire(self, gpus: str) -> None:
        """End the free worker that holds these GPUs, and start no other on them."""
        worker = next(worker for worker in self.free if worker.gpus == gpus)
        self.free.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()

    def gpus_of(self, tag: Any) -> str | None:
        """Name the GPUs of the worker that is at a task, or ended it last."""
        return next((w.gpus for w in [*self.busy.values(), *reversed(self.free)] if w.tag == tag), None)

    def submit(self, tag: Any, function: Callable, argument: Any) -> None:
        """Hand function(argument, report) to a free worker; the function must be importable there."""
        worker = self.free.pop()
        worker.tag = tag
        worker.pipe.send((function, argument))
        self.busy[worker.pipe] = worker

    def events(self) -> Iterator[WorkerEvent]:
        """Wait until something happened to at least one busy worker, and yield it; the ended ones are free again."""
        for pipe in connection.wait(list(self.busy)):
            assert isinstance(pipe, connection.Connection)
            worker = self.busy[pipe]
            try:
                kind, value = pipe.recv()
            except (EOFError, ConnectionResetError):
                worker.process.join()
                code = worker.process.exitcode
                assert code is not None  # it was joined
                kind, value = "failed", (128 - code if code < 0 else code, _explain_end(code))
                self._replace(worker)
            else:
                if kind == "failed" and worker.gpus is not None:
                    # many errors of CUDA stay with their process: it would fail every task that it is given from now on
                    worker.process.kill()
                    worker.process.join()
                    self._replace(worker)
                elif kind != "report":
                    self.free.append(self.busy.pop(pipe))
            yield WorkerEvent(worker.tag, kind, value)

    def _replace(self, ended: "_Worker") -> None:
        """Start a free worker on the GPUs of one that has ended."""
        del self.busy[ended.pipe]
        ended.pipe.close()
        self.free.append(_Worker(self.context, ended.gpus))
        self.free[-1].tag = ended.tag

    def close(self) -> None:
        """Kill all workers, busy or free."""
        workers = [*self.free, *self.busy.values()]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()
        if lock := os.environ.pop(LOAD_LOCK, None):
            Path(lock).unlink(missing_ok=True)


class _Worker:
    def __init__(self, context: ForkServerContext, gpus: str | None):
        self.gpus = gpus
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, gpus, os.environ.get(LOAD_LOCK)), daemon=False)
        self.process.start()
        theirs.close()
        self.tag: Any = None


def _explain_end(code: int) -> str:
    if code == TransientError.exit_code:
        stalled = "it made no progress and ended itself (compute.stall_minutes)"
        return f"{stalled}; its stacks are in its log, run again to go on"
    if code == -signal.SIGKILL:
        return "its process was killed by SIGKILL (out of memory?); run again to go on"
    return f"its process ended with {code}"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(pipe: connection.Connection, gpus: str | None, load_lock: str | None) -> None:
    """Do one call after another, for as long as a worker lives, on its own GPUs: it is told before CUDA is asked."""
    for name in WITHOUT_GPUS:
        os.environ.pop(name, None)
    for name, value in (("CUDA_VISIBLE_DEVICES", gpus), (LOAD_LOCK, load_lock)):
        if value is not None:
            os.environ[name] = value
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
    """Wait for the runner's end: PR_SET_PDEATHSIG would watch the fork server, the parent of a forked process."""
    runner = multiprocessing.parent_process()
    assert runner is not None
    connection.wait([runner.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


class WorkerFailed(SynaugError):
    """A worker's failure, with its exit code."""

    def __init__(self, code: int, line: str):
        super().__init__(line)
        self.exit_code = code


class WorkerCrew:
    """Processes that make one call each at the same time, a context; a crew of one, on a CPU, is this process.

    gpus: of each process. start: seconds until the processes were ready.
    """

    def __init__(self, count: int, *, threads: int, gpus: Sequence[str] = ()):
        begun = time.monotonic()
        apart = count > 1 or gpus
        self.workers = Workers(count, threads=threads, preload=[IMPORTS], gpus=gpus or None) if apart else None
        self.count = count
        if self.workers:
            self.map(confirm_start, [None] * count)
        else:
            importlib.import_module(IMPORTS)  # what a worker is forked with
        self.start = time.monotonic() - begun

    def __enter__(self) -> "WorkerCrew":
        return self

    def __exit__(self, *error) -> None:
        if self.workers:
            self.workers.close()

    def map(self, function: Callable, arguments: list, report: Callable = lambda value: None) -> list:
        """Call function(argument, report) of each, `count` at most, all at once; returns their results in order.

        Raises WorkerFailed as soon as one fails, in the crew's own process what the function raises.
        """
        if not self.workers:
            return [function(argument, report) for argument in arguments]
        for n, argument in enumerate(arguments):
            self.workers.submit(n, call_quietly, (function, argument))
        results: dict[int, Any] = {}
        while len(results) < len(arguments):
            for n, kind, value in self.workers.events():
                if kind == "report":
                    report(value)
                elif kind == "failed":
                    raise WorkerFailed(*value)
                else:
                    telemetry.progress()
                    results[n] = value
        return [results[n] for n in range(len(arguments))]


def confirm_start(argument: None, report: Callable) -> None:
    """Return at once: the answer says that the process has started."""


def call_quietly(call: tuple[Callable, Any], report: Callable) -> tuple[str, Any]:
    """Call a function in a worker; what libraries print is kept from the terminal."""
    function, argument = call
    with captured_output():
        try:
            return "done", function(argument, report)
        except Exception as error:
            return "failed", describe(error)
