"""A run's images over 1, 2, 4 and 8 GPUs, faked by a list of names: the embedded generator, real workers, equal bytes.

The workers compute on the CPU; which GPU each was told, and in which order tasks begin, is what a machine with GPUs
would have.
"""

import io
import os

import pytest
from rich.console import Console

from synaug.backends.devices import LocalDevices
from synaug.config import Config
from synaug.config.images import Images
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.store import Store, open_store
from synaug.run.job import Job
from synaug.run.plan import Plan
from synaug.run.schedule import schedule
from synaug.run.stages import Task
from synaug.runner.display import Display
from synaug.runner.local_executor import run_locally
from synaug.runner.worker_pool import MALLOC, QUIET, THREAD_VARIABLES
from tests.images_run import NAMES, class_prompts, write_plan

SHARDS, IMAGES, PART = 8, 4, 2


class Seen(Display):
    """Remembers the order in which the runner began and ended its tasks."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.order: list[tuple[str, Task]] = []

    def began(self, task):
        self.order.append(("began", task))
        super().began(task)

    def ended(self, task):
        self.order.append(("ended", task))
        super().ended(task)

    def began_shards(self) -> list[int | None]:
        return [task.shard for what, task in self.order if what == "began" and task.stage == "images"]

    def most_at_once(self) -> int:
        active = most = 0
        for what, _ in self.order:
            active += 1 if what == "began" else -1
            most = max(most, active)
        return most


def planned(store: Store) -> Job:
    """Eight class shards of one class of four images each, their prompts files written; no training."""
    names = [list(NAMES)[n % len(NAMES)] for n in range(SHARDS)]
    for n, name in enumerate(names):
        prompts = class_prompts(name).model_copy(update={"class_id": f"c{n}"})
        store.put(layout.prompts("first", f"c{n}"), prompts.model_dump_json(indent=1).encode())
    settings = Images(profile="embedded", batch_size=2, num_inference_steps=2, guidance_scale_diversified=1.5)
    plan = Plan(
        digest="",
        classes=[ClassEntry(id=f"c{n}", names=[NAMES[name]]) for n, name in enumerate(names)],
        real_counts={f"c{n}": IMAGES for n in range(SHARDS)},
        class_shards=[[f"c{n}"] for n in range(SHARDS)],
        part_images=PART,
        models=[],
        styles=["watercolour painting", "line drawing"],
        scale=1,
        versions={},
    )
    job = Job(store=store, run="first", config=Config(images=settings, classes=[]), plan=plan)
    write_plan(job)
    return job


def make(folder, gpus: list[str]) -> tuple[dict[str, bytes], Seen]:
    """What a run over some GPUs left of images, and what its runner did."""
    store = open_store(str(folder), create=True)
    planned(store)
    seen = Seen()
    outcome = run_locally(store.url, "first", overrides=[], display=seen, devices=LocalDevices(len(gpus), gpus, "cpu"))
    assert outcome.failures == []
    folder_of_images = layout.synthetic_folder("first")
    return {key: store.get(key) for key in store.list(folder_of_images)}, seen


@pytest.fixture
def environment(monkeypatch, own_forkserver):
    for name in (*THREAD_VARIABLES, *MALLOC, *QUIET):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("counts", [(8,), pytest.param((2, 4), marks=pytest.mark.slow)])
def test_any_number_of_gpus_makes_the_same_bytes_in_the_order_of_the_forecast(tmp_path, environment, counts):
    one, alone = make(tmp_path / "1", ["GPU-0"])
    assert len(one) == 2 * SHARDS * IMAGES // PART
    assert alone.began_shards() == [turn.chain for turn in schedule([1.0] * SHARDS, 1)]
    for count in counts:
        many, seen = make(tmp_path / str(count), [f"GPU-{n}" for n in range(count)])
        assert many == one
        assert seen.began_shards() == [turn.chain for turn in schedule([1.0] * SHARDS, count)]
        assert seen.most_at_once() == count
