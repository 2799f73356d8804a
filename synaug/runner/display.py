"""What a person sees of a local run: one bar per stage at a terminal, plain lines elsewhere."""

import sys

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from synaug.data import layout
from synaug.data.store import Store
from synaug.reporting.tables import summary
from synaug.run.completion import Completion
from synaug.run.job import Progress, open_run
from synaug.run.progress import LineReporter, Meter, duration, plural
from synaug.run.stages import STAGES, Task
from synaug.run.status import State

PLAIN_WIDTH = 140  # of the closing tables in a file or pipe


class Display:
    """Called by the local runner; `console` is where the bars and lines go."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True, highlight=False)
        self.bars: Bars | None = None
        self.downloads: Bars | None = None
        self.lines: dict[Task | str, LineReporter] = {}

    def start(self, state: State, *, gpus: int = 0) -> None:
        self.gpus = gpus
        if self.downloads:
            self.downloads.stop()
        self.total = {stage.stage: stage.total for stage in state.stages.values()}
        self.size = {task.task: task.total for stage in state.stages.values() for task in stage.tasks}
        self.done = {task.task: float(task.done) for stage in state.stages.values() for task in stage.tasks}
        self.meters: dict[str, Meter] = {}
        self.units = {stage.stage: stage.unit for stage in state.stages.values()}
        if not self.console.is_terminal:
            return
        columns = (TextColumn("{task.description:>8}"), BarColumn(bar_width=None), TextColumn("{task.fields[facts]}"))
        self.bars = Bars(*columns, console=self.console, expand=True)
        self.rows = {stage: self.bars.add_task(stage, total=self.total[stage], facts="") for stage in STAGES}
        for stage in STAGES:
            self._show(self.bars, stage)
        self.bars.start()

    def fetching(self, progress: Progress) -> None:
        """Show a download, before `start`."""
        if not self.console.is_terminal:
            self.lines.setdefault(progress.task, LineReporter(stream=self.console.file))(progress)
            return
        if self.downloads is None:
            self.downloads = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                expand=True,
            )
            self.downloads.start()
        known = {bar.description: bar.id for bar in self.downloads.tasks}
        bar = known.get(progress.task)
        if bar is None:
            bar = self.downloads.add_task(progress.task, total=progress.total * 1e6)
        self.downloads.update(bar, completed=progress.done * 1e6)

    def stop(self) -> None:
        for bars in (self.downloads, self.bars):
            if bars:
                bars.stop()

    def began(self, task: Task) -> None:
        if not self.bars:
            self.console.print(f"{task.name}: begun", soft_wrap=True)
            self.lines[task] = LineReporter(stream=self.console.file)

    def progressed(self, task: Task, progress: Progress) -> None:
        if progress.total:
            self.done[task] = self.size[task] * min(1.0, progress.done / progress.total)
        if self.bars:
            self._show(self.bars, task.stage)
        else:
            self.lines[task](progress)

    def ended(self, task: Task) -> None:
        self.done[task] = self.size[task]
        if self.bars:
            self._show(self.bars, task.stage)
        else:
            self.console.print(f"{task.name}: done", soft_wrap=True)

    def lost(self, gpus: str, line: str) -> None:
        """Say that a GPU, or several that one process held, is left out from now on."""
        self.gpus -= len(gpus.split(","))
        self.console.print(f"GPU {gpus} is left out: {line}", soft_wrap=True)

    def failed(self, task: Task, code: int) -> None:
        self.console.print(f"{task.name}: failed ({code})", soft_wrap=True)

    def _show(self, bars: Bars, stage: str) -> None:
        done = sum(value for task, value in self.done.items() if task.stage == stage)
        meter = self.meters.setdefault(stage, Meter())
        left = meter.update(done, self.total[stage])
        facts = f"{done:.0f}/{self.total[stage]} {plural(self.units[stage])}"
        if meter.rate and done < self.total[stage]:
            each = f" ({meter.rate / self.gpus:.3g} a GPU)" if self.gpus > 1 and stage == "images" else ""
            facts += f"  {meter.rate:.3g}/s{each}  {duration(left)} left"
        bars.update(self.rows[stage], completed=done, facts=facts)


def closing(store: Store, run: str, stage_seconds: dict[str, float], seconds: float) -> None:
    """Print the last lines of a run on stdout: the results, the seconds of each stage and where the report is."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(summary(Completion(store, run, *open_run(store, run)).results()))
    spent = "  ".join(f"{stage} {stage_seconds[stage]:.0f} s" for stage in STAGES if stage in stage_seconds)
    console.print(
        f"This run: {spent}  all {duration(seconds)}"
        if spent
        else f"Everything was done before; looked in {duration(seconds)}."
    )
    console.print(f"Report: {store.url.removeprefix('file://').rstrip('/')}/{layout.report(run)}", soft_wrap=True)
