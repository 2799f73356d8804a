"""A stage that stalls ends itself, so that it is tried again: a hung mount or GPU would else hold its pod for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from synaug.telemetry import Pulse, beat

START = 4  # limits that a stage has until its first result: models are loaded and compiled, weights perhaps downloaded


@contextmanager
def watch(minutes: float | None, stalled: Callable[[float], None]) -> Iterator[None]:
    """Call stalled(minutes), in a thread of its own, when nothing moves for so long; None: never."""
    if minutes is None:
        yield
        return
    Pulse.started = False
    beat()
    over = threading.Event()
    threading.Thread(
        target=_watch, args=(minutes * 60, over, lambda: stalled(minutes)), name="watchdog", daemon=True
    ).start()
    try:
        yield
    finally:
        over.set()


def _watch(limit: float, over: threading.Event, stalled: Callable[[], None]) -> None:
    while not over.wait(min(5.0, limit / 10)):
        if time.monotonic() - Pulse.last > limit * (1 if Pulse.started else START):
            stalled()
            return
