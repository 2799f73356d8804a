"""The end of a command's log: kept while it runs, left in the store when it fails or stalls."""

import faulthandler
import logging
import os
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from synaug import telemetry
from synaug.data.store import open_store
from synaug.errors import SynaugError, TransientError, describe, end_process
from synaug.run import outputs
from synaug.run.job import Progress
from synaug.runner import stall

LINES = 100
LEAVING_SECONDS = 30  # for the log of a command that stalls
logger = logging.getLogger("synaug")


class LogTail(logging.Handler):
    """The last lines that were logged, and where they go.

    beside: a key of the store without which nothing is left, as of a run that is not planned.
    """

    def __init__(self, command: str, store_url: str, key: str, *, beside: str | None = None):
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.lines: deque[str] = deque(maxlen=LINES)
        self.command, self.store_url, self.key, self.beside = command, store_url, key, beside

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).splitlines())

    def leave(self, *, transient: bool) -> None:
        """Put the lines into the store, as well as it goes: the store may be what failed, and the first error counts.

        Of the ranks of a training, which share one log, those that lost a peer do not write over what the peer left.
        """
        if_absent = transient and "TORCHELASTIC_RUN_ID" in os.environ
        try:
            store = open_store(self.store_url)
            if self.beside is None or store.exists(self.beside):
                store.put(self.key, ("\n".join(self.lines) + "\n").encode(), if_absent=if_absent)
        except (SynaugError, OSError) as error:
            logger.info("the log of %s could not be stored: %s", self.command, error)


@contextmanager
def log_tail_on_failure(tail: LogTail, printed: Callable[[], list[str]] = list) -> Iterator[None]:
    """Collect what is logged inside; an error leaves it in the store, and goes on its way.

    printed: the last lines that libraries printed, where somebody kept them.
    """
    logging.getLogger().addHandler(tail)
    logger.setLevel(logging.INFO)
    try:
        yield
    except Exception as error:
        tail.lines = deque([*printed(), *tail.lines], maxlen=LINES)
        if not isinstance(error, SynaugError):
            tail.lines.extend(traceback.format_exc().splitlines())
        code, line = describe(error)
        tail.lines.append(line)
        tail.leave(transient=code == TransientError.exit_code)
        raise
    finally:
        logging.getLogger().removeHandler(tail)


def beat_on_report(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Make the stall watch hear of each call of `report`."""

    def report_with_beat(progress: Progress) -> None:
        telemetry.progress()
        report(progress)

    return report_with_beat


def end_if_stalled(minutes: float | None, tail: LogTail) -> AbstractContextManager[None]:
    """End the process with 170 when nothing moves for so long; None: never."""
    return stall.watch(minutes, lambda limit: _end_stalled(limit, tail))


def _end_stalled(minutes: float, tail: LogTail) -> None:
    """Ends the process: what hangs cannot unwind. The log goes to the store if the store answers."""
    line = (
        f"no progress for {minutes:g} minutes (compute.stall_minutes); the stacks of its threads are in its log; "
        "run again to go on"
    )
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = file.read().decode(errors="replace")
    print(f"{stacks}\nsynaug {tail.command}: {line}", file=sys.stderr, flush=True)
    outputs.leave_line(line)
    tail.lines.extend([*stacks.splitlines(), line])
    leaving = threading.Thread(target=tail.leave, kwargs={"transient": True}, daemon=True)
    leaving.start()
    leaving.join(LEAVING_SECONDS)
    end_process(TransientError.exit_code, line)
