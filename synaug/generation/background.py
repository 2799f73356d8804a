"""Work beside the model: threads that check, encode and score while the next batch is denoised, with bounded memory."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

from synaug import telemetry


class Stopwatch:
    """Seconds by phase, over all threads.

    `wait`: while the model had nothing to do for want of texts, or of room for its results.
    """

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            telemetry.phase(name, seconds)


class BackgroundPool:
    """Threads whose results come back in the order of submission; at most `ahead` tasks are under way.

    Waiting for them is the phase `wait`.
    """

    def __init__(self, *, threads: int, torch_threads: int, ahead: int, stopwatch: Stopwatch):
        self._pool = start_threads(threads, "background", torch_threads)
        self._pending: deque[Future] = deque()
        self._ahead, self._stopwatch = ahead, stopwatch

    def submit(self, task: Callable, *arguments) -> Iterator[Any]:
        """Start a task; yields the results that had to be waited for to keep memory bounded."""
        self._pending.append(self._pool.submit(task, *arguments))
        while len(self._pending) > self._ahead:
            yield self._next()

    def rest(self) -> Iterator[Any]:
        """Yield the results that are still to come."""
        while self._pending:
            yield self._next()

    def _next(self) -> Any:
        with self._stopwatch.phase("wait"):
            return self._pending.popleft().result()

    def close(self) -> None:
        """End the threads; what was not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def start_threads(threads: int, name: str, torch_threads: int) -> ThreadPoolExecutor:
    """Start threads that use `torch_threads` of torch each.

    OpenMP's count belongs to each thread; without this every helper would take all cores.
    """
    return ThreadPoolExecutor(threads, name, initializer=torch.set_num_threads, initargs=(torch_threads,))
