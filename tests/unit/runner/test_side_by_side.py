"""Calls in several processes at once, and a failure with the code and the line of the process that had it."""

import os

import pytest

from synaug.errors import DataError
from synaug.runner.side_by_side import Failed, SideBySide


def who(argument: int, report) -> tuple[int, int]:
    report(argument)
    return argument, os.getpid()


def broken(argument: int, report) -> None:
    raise DataError(f"the tar {argument} is broken")


@pytest.mark.slow
def test_each_call_has_a_process_of_its_own():
    heard = []
    with SideBySide(2, threads=1) as crew:
        (first, a), (second, b) = crew.run(who, [1, 2], heard.append)
        assert (
            (first, second) == (1, 2) and len({a, b, os.getpid()}) == 3 and sorted(heard) == [1, 2] and crew.start > 0
        )
        with pytest.raises(Failed, match="the tar 7 is broken") as caught:
            crew.run(broken, [7])
        assert caught.value.exit_code == DataError.exit_code


def test_one_call_is_made_here():
    with SideBySide(1, threads=1) as crew:
        assert crew.run(who, [1]) == [(1, os.getpid())]
