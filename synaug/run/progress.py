"""Progress on the way: plain lines and Argo's file for a pod, bars for a person at a terminal."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from synaug.run.job import Progress


def duration(seconds: float | None) -> str:
    """Write a duration for people: 0.4 s, 56 s, 2 min 05 s, 9 min, 4 h 10 min, 3.5 days; `unmeasured` for None."""
    if seconds is None:
        return "unmeasured"
    if 0.05 <= seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 72:
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


class Meter:
    """Rate and time left of one task since its first update; what was done before then is not counted as speed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.start: tuple[float, float] | None = None
        self.rate: float | None = None

    def update(self, done: float, total: float) -> float | None:
        """Take note of progress and return the seconds left, None while unknown."""
        now = self.clock()
        if self.start is None:
            self.start = (now, done)
        began, before = self.start
        if now > began and done > before:
            self.rate = (done - before) / (now - began)
        return (total - done) / self.rate if self.rate else None


class LineReporter:
    """A line at a rhythm and at the end, and `n/N` in the file that ARGO_PROGRESS_FILE names."""

    def __init__(
        self, *, every: float = 15.0, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic
    ):
        self.every, self.stream, self.clock = every, stream or sys.stderr, clock
        self.meter, self.shown = Meter(clock), float("-inf")
        self.argo = os.environ.get("ARGO_PROGRESS_FILE")

    def __call__(self, progress: Progress) -> None:
        left = self.meter.update(progress.done, progress.total)
        finished = progress.done >= progress.total
        if not finished and self.clock() - self.shown < self.every:
            return
        self.shown = self.clock()
        if self.argo and progress.total:
            Path(self.argo).write_text(f"{progress.done}/{progress.total}")
        print(line(progress, self.meter.rate, left), file=self.stream, flush=True)


def plural(noun: str) -> str:
    """Write the plural of a noun: images, classes, indexes, batches."""
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")


def line(progress: Progress, rate: float | None, left: float | None) -> str:
    """Write progress as a line: `images-017: 320/1000 images, 12.1 images/s, 56 s left, batch 16`."""
    facts = [f"{progress.done}/{progress.total} {plural(progress.unit)}"]
    if rate:
        facts.append(f"{rate:.3g} {plural(progress.unit)}/s")
    if left and progress.done < progress.total:
        facts.append(f"{duration(left)} left")
    facts += [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in progress.detail.items()
    ]
    return f"{progress.task}: {', '.join(facts)}"
