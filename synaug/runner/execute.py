"""Runs one stage command, in a pod or in a worker: opens the job, keeps the end of its log, leaves it in the store on failure."""

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from synaug.data import layout
from synaug.errors import describe
from synaug.run.job import Progress, Task, open_job
from synaug.runner.log_tail import LINES, LogTail, beat_on_report, end_if_stalled, log_tail_on_failure

READ_BYTES = 64 * 1024


def execute(
    task: Task,
    store_url: str,
    run: str,
    overrides: list[str],
    report: Callable[[Progress], None],
    printed: Callable[[], list[str]] = list,
) -> float:
    """Seconds that the stage took. Raises what the stage raises, after writing the log's end to layout.log.

    printed: the last lines that libraries printed, where somebody kept them.
    """
    tail = LogTail(task.stage, store_url, layout.log(run, task.stage, task.unit), beside=layout.plan(run))
    started = time.monotonic()
    with log_tail_on_failure(tail, printed):
        where = {"shard": task.shard, "arm": task.arm, "seed": task.seed, "join": task.join}
        job = open_job(store_url, run, **where, overrides=overrides, report=beat_on_report(report))
        with end_if_stalled(job.config.compute.stall_minutes, tail):
            importlib.import_module(f"synaug.stages.{task.stage}").run(job)
    return time.monotonic() - started


def execute_in_worker(
    argument: tuple[Task, str, str, list[str]], report: Callable[[Progress], None]
) -> tuple[str, object]:
    """("done", seconds), or ("failed", (exit code, line)). What libraries print goes to the log of a failure, not between the bars."""
    with captured_output() as printed:
        try:
            return "done", execute(*argument, report, printed)
        except Exception as error:
            return "failed", describe(error)


@contextmanager
def captured_output() -> Iterator[Callable[[], list[str]]]:
    """Takes file descriptors 1 and 2, also of C libraries; yields a reader of the last lines that were written."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: _last_lines(file)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])


def _last_lines(file) -> list[str]:
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), READ_BYTES, max(0, size - READ_BYTES)).decode(errors="replace")
    return text.splitlines()[-LINES:]
