"""One call in each of several worker processes at the same time: what is measured so is as slow as it will be in the run."""

import time
from collections.abc import Callable
from typing import Any

from synaug import telemetry
from synaug.errors import SynaugError, describe
from synaug.runner.execute import captured_output
from synaug.runner.worker_pool import Workers


class Failed(SynaugError):
    """A worker's failure, with its exit code."""

    def __init__(self, code: int, line: str):
        super().__init__(line)
        self.exit_code = code


class SideBySide:
    """A context; `start`: seconds until its processes stood. One process is this one."""

    def __init__(self, count: int, *, threads: int):
        begun = time.monotonic()
        self.workers = Workers(count, threads=threads, preload=["synaug.runner.worker_imports"]) if count > 1 else None
        self.count = count
        if self.workers:
            self.run(standing, [None] * count)
        else:
            import synaug.runner.worker_imports  # noqa: F401  what a worker is forked with
        self.start = time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        if self.workers:
            self.workers.close()

    def run(self, function: Callable, arguments: list, report: Callable = lambda value: None) -> list:
        """function(argument, report) of each, `count` at most, all at once; what they return, in order. Raises what one raises."""
        if not self.workers:
            return [function(argument, report) for argument in arguments]
        for n, argument in enumerate(arguments):
            self.workers.submit(n, guarded, (function, argument))
        values: dict[int, Any] = {}
        while len(values) < len(arguments):
            for n, kind, value in self.workers.events():
                if kind == "report":
                    report(value)
                elif kind == "failed":
                    raise Failed(*value)
                else:
                    telemetry.progress()
                    values[n] = value
        return [values[n] for n in range(len(arguments))]


def standing(argument: None, report: Callable) -> None:
    """Nothing: the answer says that the process stands."""


def guarded(argument: tuple[Callable, Any], report: Callable) -> tuple[str, Any]:
    """What libraries print is kept from the terminal."""
    function, given = argument
    with captured_output():
        try:
            return "done", function(given, report)
        except Exception as error:
            return "failed", describe(error)
