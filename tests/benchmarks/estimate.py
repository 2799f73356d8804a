"""Plan after preview against the run itself: a small piece of the demo in a fresh store, with all workers."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from synaug.config.load import load_config
from synaug.data.store import open_store
from synaug.run.forecast import read_forecast
from synaug.run.job import open_run
from synaug.run.stages import Task, long_stages
from synaug.runner.display import Display
from synaug.runner.local_executor import run_locally
from synaug.stages import plan as planning
from tests.benchmarks.result import Result

RUN, TARGET, CLASSES = "estimated", "within 15%", 6
CUT = ["scale=2x", "seeds=[0, 1]", "arms={real: {kind: real}, auxbn: {kind: auxbn}}", "training.steps=300"]


class Clocked(Display):
    """Seconds of each task; nothing is shown."""

    def __init__(self):
        super().__init__(Console(quiet=True))
        self.begun: dict[Task, float] = {}
        self.seconds = dict.fromkeys(long_stages(), 0.0)

    def began(self, task: Task) -> None:
        super().began(task)
        self.begun[task] = time.monotonic()

    def ended(self, task: Task) -> None:
        super().ended(task)
        if task.stage in self.seconds:
            self.seconds[task.stage] += time.monotonic() - self.begun[task]


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        _synaug("import", "embedded", "--store", store.url)
        demo = load_config("demo", CUT)
        planning.make_plan(store, RUN, demo.model_copy(update={"classes": demo.classes[:CLASSES]}))
        # in a process of its own, as a person does: nothing is warm for the run
        _synaug("preview", "--store", store.url, "--run", RUN)
        config, plan = open_run(store, RUN)
        planned = read_forecast(store, RUN, config, plan)
        loads, clock, begun = [os.getloadavg()[0]], Clocked(), time.monotonic()
        outcome = run_locally(store.url, RUN, overrides=[], display=clock)
        wall = time.monotonic() - begun
    if outcome.failures:
        raise RuntimeError(f"the run failed: {outcome.failures}")
    # where they differ, the machine did other work, and the ratio says more of that than of the plan
    loads.append(os.getloadavg()[0])
    details = {
        "planned": planned.model_dump(),
        "wall_seconds": round(wall, 1),
        "seconds": {k: round(v, 1) for k, v in clock.seconds.items()},
        "load after preview and after the run": [round(load, 2) for load in loads],
    }
    name = "estimate: planned / actual wall time"
    results = [Result(name=name, values=ratio(planned.wall_seconds, wall), target=TARGET, details=details)]
    return results + [
        Result(name=f"estimate: planned / actual work of {stage}", values=ratio(planned.seconds[stage], seconds))
        for stage, seconds in clock.seconds.items()
    ]


def ratio(planned: float | None, actual: float) -> list[float]:
    """Divide what was planned, which after a preview is measured, by what it was."""
    assert planned is not None
    return [planned / actual]


def _synaug(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "synaug", *arguments], check=True, stdout=subprocess.DEVNULL)
