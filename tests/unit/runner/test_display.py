"""One bar per stage at a terminal; plain lines elsewhere."""

import io

from rich.console import Console

from synaug.run.job import Progress
from synaug.run.stages import Task
from synaug.run.status import StageState, State, TaskState
from synaug.runner.display import Display

IMAGES = Task(stage="images", shard=0)


def state() -> State:
    tasks = {
        stage: [TaskState(Task(stage=stage), 0, 1)] for stage in ("prompts", "index", "train", "evaluate", "report")
    }
    tasks["images"] = [TaskState(IMAGES, 50, 200)]
    return State("first", 1, {stage: StageState(stage=stage, tasks=found) for stage, found in tasks.items()})


def shown(console: Console) -> str:
    display = Display(console)
    display.start(state())
    display.began(IMAGES)
    for done in (100, 150):
        display.progressed(IMAGES, Progress("images", "images-000", done, 200, "image", {"rejected": 1}))
    display.ended(IMAGES)
    display.failed(Task(stage="train", arm="real", seed=0), 3)
    display.stop()
    return console.file.getvalue()


def test_bars_have_counts_rate_and_an_end():
    text = shown(Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None))
    assert "images" in text and "200/200 images" in text
    assert "0/1 steps" in text
    assert "train-real-0: failed (3)" in text


def test_without_a_terminal_there_are_plain_lines():
    text = shown(Console(file=io.StringIO(), width=40))
    lines = text.splitlines()
    assert lines[0] == "images-000: begun"
    assert lines[1] == "images-000: 100/200 images, rejected 1"
    assert lines[-2:] == ["images-000: done", "train-real-0: failed (3)"]
    assert "\x1b" not in text


def test_a_gpu_that_is_left_out_has_no_share_of_the_rate():
    display = Display(Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None))
    display.start(state(), gpus=4)
    display.lost("2", "its GPU failed")
    display.lost("0,1", "its GPU failed")
    display.stop()
    assert display.gpus == 1
