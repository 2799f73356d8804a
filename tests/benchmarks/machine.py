"""Bounds of a benchmark's process."""

import contextlib
import os
from collections.abc import Iterator

from synaug.run.environment import entry


def resident() -> int:
    """Measure the bytes of this process in memory."""
    size = entry("self/status", "VmRSS")
    if size is None:
        raise OSError("no VmRSS in /proc/self/status: this benchmark needs Linux")
    return int(size.split()[0]) * 1024


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Leave only so many cores to this thread and those it starts: helper threads find no idle core to hide on.

    Off Linux: no limit.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
