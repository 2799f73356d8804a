"""Seconds of each phase, printed at the end: the limit is 25 minutes after the tools are built."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

TIMES: list[tuple[str, float]] = []


@contextmanager
def phase(name: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        TIMES.append((name, time.monotonic() - begun))
