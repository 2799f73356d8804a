"""A stage that stands still ends itself, so that it is tried again: a hung mount or GPU would else hold its pod for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

START = 4  # limits that a stage has until its first result: models are loaded and compiled, weights perhaps downloaded


class _Pulse:
    """Of this process, which does one stage at a time."""

    last = 0.0
    started = False


def beat() -> None:
    """A sign of life: a transfer of the store ended, a text was written, a denoising step is done."""
    _Pulse.last = time.monotonic()


def progress() -> None:
    """A result: an image, a class, an optimizer step. From the first on the limit holds."""
    _Pulse.started = True
    beat()


@contextmanager
def watched(minutes: float | None, stalled: Callable[[], None]) -> Iterator[None]:
    """Calls `stalled`, in a thread of its own, when nothing moves for so long; None: never."""
    if minutes is None:
        yield
        return
    _Pulse.started = False
    beat()
    over = threading.Event()
    threading.Thread(target=_watch, args=(minutes * 60, over, stalled), name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(limit: float, over: threading.Event, stalled: Callable[[], None]) -> None:
    while not over.wait(min(5.0, limit / 10)):
        if time.monotonic() - _Pulse.last > limit * (1 if _Pulse.started else START):
            stalled()
            return
