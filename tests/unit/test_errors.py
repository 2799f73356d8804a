"""Every exception becomes one line and an exit code that is never 1 or 64."""

import errno

import pytest

from synaug.errors import DataError, ModelError, TransientError, UsageError, describe


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
