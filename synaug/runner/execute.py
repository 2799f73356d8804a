"""One stage command, in a pod or in a worker: its job, and the end of its log, left in the store on failure.

torchrun is imported where a training is spread over several GPUs: it loads torch.
"""

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from synaug.backends.memory import name_what_to_lower, release_models
from synaug.data import layout
from synaug.errors import describe
from synaug.run.completion import Completion
from synaug.run.job import Progress, open_job
from synaug.run.stages import STAGES, Proof, Task
from synaug.runner.log_tail import LINES, LogTail, beat_on_report, end_if_stalled, log_tail_on_failure

READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class StageCall:
    """A task of a run, as a worker process gets it. overrides: execution settings, FIELD=VALUE.

    ranks: processes that a training is spread over.
    """

    task: Task
    store_url: str
    run: str
    overrides: list[str]
    ranks: int = 1


def execute(
    task: Task,
    store_url: str,
    run: str,
    overrides: list[str],
    report: Callable[[Progress], None],
    printed: Callable[[], list[str]] = list,
) -> float:
    """Run one stage command; returns the seconds that it took.

    Raises what the stage raises, after writing the log's end to layout.log. A stage without a better proof of being
    done gets a completion record. printed: the last lines that libraries printed, where somebody kept them.
    """
    tail = LogTail(task.stage, store_url, layout.log(run, task.stage, task.unit), beside=layout.plan(run))
    started = time.monotonic()
    with log_tail_on_failure(tail, printed):
        job = open_job(
            store_url,
            run,
            shard=task.shard,
            arm=task.arm,
            seed=task.seed,
            join=task.join,
            overrides=overrides,
            report=beat_on_report(report),
        )
        stage = STAGES[task.stage]
        release_models(keep=stage.models)
        with end_if_stalled(job.config.compute.stall_minutes, tail), name_what_to_lower(task.stage, stage.needs_less):
            importlib.import_module(f"synaug.stages.{task.stage}").run(job)
        if stage.proof is Proof.RECORD:
            record = Completion(job.store, run, job.config, job.plan).record(task)
            job.store.put(layout.completion(run, task.stage, task.unit), record)
    return time.monotonic() - started


def execute_in_worker(call: StageCall, report: Callable[[Progress], None]) -> tuple[str, object]:
    """Run a call; returns ("done", seconds), or ("failed", (exit code, line)).

    What libraries print goes to the log of a failure, not between the bars.
    """
    with captured_output() as printed:
        try:
            if call.task.stage == "train" and call.ranks > 1:
                from synaug.runner.torchrun import train

                began = time.monotonic()
                train(call.task, call.store_url, call.run, call.overrides, call.ranks)
                return "done", time.monotonic() - began
            return "done", execute(call.task, call.store_url, call.run, call.overrides, report, printed)
        except Exception as error:
            return "failed", describe(error)


@contextmanager
def captured_output() -> Iterator[Callable[[], list[str]]]:
    """Take over file descriptors 1 and 2, also of C libraries; yields a reader of the last lines that were written."""
    sys.stdout.flush()
    sys.stderr.flush()
    stdout, stderr = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: _last_lines(file)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)


def _last_lines(file: IO[bytes]) -> list[str]:
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), READ_BYTES, max(0, size - READ_BYTES)).decode(errors="replace")
    return text.splitlines()[-LINES:]
