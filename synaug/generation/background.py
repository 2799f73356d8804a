"""Work beside the model: threads that check, encode and score while the next batch is denoised, with bounded memory."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from synaug import telemetry


class BackgroundPool:
    """Results come back in the order of submission; at most `ahead` tasks are under way. Waiting for them is the phase `wait`."""

    def __init__(self, *, threads: int, torch_threads: int, ahead: int, stopwatch: "Stopwatch"):
        self._pool = ThreadPoolExecutor(threads, "beside", initializer=_set_torch_threads, initargs=(torch_threads,))
        self._pending: deque[Future] = deque()
        self._ahead, self._stopwatch = ahead, stopwatch

    def submit(self, task: Callable, *arguments) -> Iterator:
        """Yields the results that had to be waited for to keep memory bounded."""
        self._pending.append(self._pool.submit(task, *arguments))
        while len(self._pending) > self._ahead:
            yield self._next()

    def rest(self) -> Iterator:
        while self._pending:
            yield self._next()

    def _next(self):
        with self._stopwatch.phase("wait"):
            return self._pending.popleft().result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _set_torch_threads(count: int) -> None:
    import torch

    torch.set_num_threads(
        count
    )  # OpenMP's count belongs to each thread; without this every helper would take all cores


class Stopwatch:
    """Seconds by phase, over all threads. `wait`: while the model stood still for want of texts, or of room for its results."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            telemetry.phase(name, seconds)
