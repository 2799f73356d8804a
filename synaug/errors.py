"""What can go wrong: exceptions and their exit codes (docs/design.md §3), and from an exception to its one line.

A message says what was given, what is allowed, what to do.
"""

import errno
import json
import os
import signal
import sys
from pathlib import Path

INTERNAL = 70  # a defect of ours: never 1, never Argo's 64
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
GPU_FAILED = "its GPU failed"  # how the line of such a failure begins
FAILURES = "SYNAUG_RANK_FAILURES"  # folder where the ranks of a training leave code and line, a file each

OUT_OF_MEMORY = (
    "out of memory",  # CUDA's own, also of a kernel or NCCL
    "can't allocate memory",  # torch's CPU allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
)
# Of a GPU that is gone until somebody resets it: CUDA's words for Xid 48, 63, 74, 79 and their like.
LOST_GPU = (
    "uncorrectable ECC",
    "GPU is lost",
    "unspecified launch failure",
    "device not ready",
    "hardware stack error",
    "CUDA-capable device(s) is/are busy or unavailable",
    "No CUDA GPUs are available",
    "no CUDA-capable device is detected",
    "CUDA error: unknown error",
)
FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "is over its quota", errno.EROFS: "is read-only"}


class SynaugError(Exception):
    """Shown as one line on stderr; `exit_code` ends the process."""

    exit_code = 70


class UsageError(SynaugError):
    """A command line or configuration that cannot be meant."""

    exit_code = 2


class DataError(SynaugError):
    """Data that is broken or missing, or finished work that would be changed."""

    exit_code = 3


class ModelError(SynaugError):
    """A model, licence or credential that cannot be used."""

    exit_code = 4


class TransientError(SynaugError):
    """The store or an endpoint stayed out of reach after bounded waiting; running again can succeed."""

    exit_code = 170


def known(error: BaseException) -> SynaugError | None:
    """Return the error as one of ours; a full, read-only or denied disk is permanent. None: a defect."""
    if isinstance(error, SynaugError):
        return error
    if is_lost_gpu(error):
        return TransientError(f"{GPU_FAILED} ({first_line(error)}); run again elsewhere, or once it was reset")
    if isinstance(error, OSError):
        where = error.filename or "the disk"
        if error.errno in FULL:
            return DataError(
                f"{where} {FULL[error.errno]}; make room or choose another --store, then run again: what is done stays "
                "done"
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return DataError(f"no permission for {where}; give this user access or choose another --store")
    return None


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, says that memory ran out: of a GPU, or of the machine.

    By name and words, without torch: its CPU allocator, cuBLAS and cuDNN raise plain RuntimeErrors.
    """
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_lost_gpu(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, says that a GPU has failed for good (Xid, ECC, off the bus)."""
    while error is not None:
        if isinstance(error, RuntimeError) and any(words in str(error) for words in LOST_GPU):
            return True
        error = error.__cause__ or error.__context__
    return False


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one line of an error."""
    if ours := known(error):
        return ours.exit_code, " ".join(str(ours).split())
    first = (str(error).strip().splitlines() or [""])[0]
    return INTERNAL, f"unexpected {type(error).__name__}: {first[:300]} (a defect of synaug; --debug shows where)"


def end_process(code: int, line: str) -> None:
    """End this process at once: the interpreter's orderly end could wait for a peer, or a thread, that never comes.

    Of a rank, code and line are left for the command that started torchrun.
    """
    if folder := os.environ.get(FAILURES):
        (Path(folder) / os.environ["RANK"]).write_text(json.dumps({"code": code, "line": line}))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
