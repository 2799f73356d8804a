"""Runs one stage command, in a pod or in a worker: opens the job, keeps the end of its log, leaves it in the store on failure."""

import faulthandler
import importlib
import logging
import os
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from synaug import layout, outputs, watchdog
from synaug.errors import SynaugError, TransientError
from synaug.failure import describe
from synaug.job import Progress, Task, open_job
from synaug.store import open_store
from synaug.training.launch import end_process

LOG_LINES = 100
READ_BYTES = 64 * 1024
LEAVING_SECONDS = 30  # for the log of a stage that stands still
logger = logging.getLogger("synaug")


class Tail(logging.Handler):
    """The last lines that were logged."""

    def __init__(self):
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.lines: deque[str] = deque(maxlen=LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).splitlines())


def execute(
    task: Task, store_url: str, run: str, overrides: list[str], report: Callable[[Progress], None],
    printed: Callable[[], list[str]] = list,
) -> float:  # fmt: skip
    """Seconds that the stage took. Raises what the stage raises, after writing the log's end to layout.log.

    printed: the last lines that libraries printed, where somebody kept them.
    """
    tail = Tail()
    logging.getLogger().addHandler(tail)
    logger.setLevel(logging.INFO)
    started = time.monotonic()
    try:
        where = {"shard": task.shard, "arm": task.arm, "seed": task.seed, "join": task.join}
        job = open_job(store_url, run, **where, overrides=overrides, report=reported(report))
        with ended_if_stalled(job.config.compute.stall_minutes, task, store_url, run, tail):
            importlib.import_module(f"synaug.stages.{task.stage}").run(job)
    except Exception as error:
        tail.lines = deque([*printed(), *tail.lines], maxlen=LOG_LINES)
        if not isinstance(error, SynaugError):
            tail.lines.extend(traceback.format_exc().splitlines())
        tail.lines.append(describe(error)[1])
        _leave(tail, store_url, run, task)
        raise
    finally:
        logging.getLogger().removeHandler(tail)
    return time.monotonic() - started


def reported(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`report`, each call of which the watchdog hears of."""

    def both(progress: Progress) -> None:
        watchdog.progress()
        report(progress)

    return both


def ended_if_stalled(minutes: float | None, task: Task, store_url: str, run: str, tail: Tail) -> AbstractContextManager[None]:
    """Ends the process with 170 when nothing moves for so long; None: never."""
    return watchdog.watched(minutes, lambda: _end_stalled(minutes, tail, store_url, run, task))


def _end_stalled(minutes: float, tail: Tail, store_url: str, run: str, task: Task) -> None:
    """Ends the process: what hangs cannot be told to unwind. The log goes to the store if the store answers."""
    line = f"no progress for {minutes:g} minutes (compute.stall_minutes); the stacks of its threads are in its log; run again to go on"
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = file.read().decode(errors="replace")
    print(f"{stacks}\nsynaug {task.stage}: {line}", file=sys.stderr, flush=True)
    outputs.leave_line(line)
    tail.lines.extend([*stacks.splitlines(), line])
    leaving = threading.Thread(target=_leave, args=(tail, store_url, run, task), daemon=True)
    leaving.start()
    leaving.join(LEAVING_SECONDS)
    end_process(TransientError.exit_code, line)


def _leave(tail: Tail, store_url: str, run: str, task: Task) -> None:
    """Best effort: the store may be what failed, and the first error is the one to show."""
    try:
        store = open_store(store_url)
        if store.exists(layout.plan(run)):
            store.put(layout.log(run, task.stage, task.unit), ("\n".join(list(tail.lines)[-LOG_LINES:]) + "\n").encode())
    except (SynaugError, OSError) as error:
        logger.warning("the log of %s could not be stored: %s", task.name, error)


def execute_in_worker(argument: tuple[Task, str, str, list[str]], report: Callable[[Progress], None]) -> tuple[str, object]:
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
    return text.splitlines()[-LOG_LINES:]
