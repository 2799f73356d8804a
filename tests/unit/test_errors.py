"""Every exception becomes one line and an exit code that is never 1 or 64."""

import errno

import pytest

from synaug.errors import DataError, ModelError, TransientError, UsageError, describe, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("a\n  b"), 2, "a b"),
        (DataError("x"), 3, "x"),
        (ModelError("x"), 4, "x"),
        (TransientError("x"), 170, "x"),
        (OSError(errno.ENOSPC, "No space left", "/store/x"), 3, "/store/x is full; make room"),
        (OSError(errno.EROFS, "Read-only", "/store/x"), 3, "/store/x is read-only"),
        (PermissionError(errno.EACCES, "denied", "/store/x"), 3, "no permission for /store/x"),
        (
            ZeroDivisionError("division by zero"),
            70,
            "unexpected ZeroDivisionError: division by zero (a defect of synaug; ",
        ),
    ],
)
def test_an_exception_is_one_line_and_a_code(error, code, line):
    given = describe(error)
    assert given[0] == code
    assert given[1].startswith(line)
    assert "\n" not in given[1]


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (MemoryError(), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("x"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (caused(ModelError("the model cannot be loaded"), RuntimeError("CUDA out of memory.")), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, out):
    assert is_out_of_memory(error) is out
