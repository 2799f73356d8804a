"""From an exception to one line and an exit code (docs/design.md §3)."""

import errno
import signal

from synaug.errors import DataError, SynaugError

INTERNAL = 70  # a defect of ours: never 1, never Argo's 64
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "is over its quota", errno.EROFS: "is read-only"}


def known(error: BaseException) -> SynaugError | None:
    """The error as one of ours; a full, read-only or denied disk is permanent. None: a defect."""
    if isinstance(error, SynaugError):
        return error
    if isinstance(error, OSError):
        where = error.filename or "the disk"
        if error.errno in FULL:
            return DataError(f"{where} {FULL[error.errno]}; make room or choose another --store, then run again: what is done stays done")
        if error.errno in (errno.EACCES, errno.EPERM):
            return DataError(f"no permission for {where}; give this user access or choose another --store")
    return None


def describe(error: BaseException) -> tuple[int, str]:
    """(exit code, one line)."""
    if ours := known(error):
        return ours.exit_code, " ".join(str(ours).split())
    first = (str(error).strip().splitlines() or [""])[0]
    return INTERNAL, f"unexpected {type(error).__name__}: {first[:300]} (a defect of synaug; --debug shows where)"
