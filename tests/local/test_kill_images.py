"""SIGKILL at seeded points of the images stage, continued: the same bytes, nothing left over."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from random import Random

import pytest

from synaug.data.store import open_store
from tests import tiny_pipelines
from tests.images_run import images_job

EVENTS = (
    23  # of an uninterrupted run: each progress report, and each put of a tar, manifest or timing as it begins and ends
)
POINTS = Random(7).sample(range(EVENTS), 10)


class Killed:
    """A store whose process is killed at the n-th event; None: never. Counts its events."""

    def __init__(self, store, at):
        self.store, self.at, self.events, self.lock = store, at, 0, threading.Lock()

    def event(self, *_):
        with self.lock:  # puts come from the uploading thread
            if self.events == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.events += 1

    def put(self, key, data, **more):
        self.event()
        placed = self.store.put(key, data, **more)
        self.event()
        return placed

    def __getattr__(self, name):
        return getattr(self.store, name)


def work(folder: Path, at: int | None, events, settings: dict) -> None:
    """In a process of its own. settings: of `images:`, in place of the embedded generator's."""
    from synaug.stages import images

    store = Killed(open_store(folder), None)
    job = images_job(store, images=8, part_images=9, batch_size=4, num_inference_steps=2, **settings)
    store.at, store.events = at, 0
    images.run(dataclasses.replace(job, report=store.event))
    events.send(store.events)


@pytest.fixture(scope="module")
def context():
    """Processes that start with the libraries in memory, as the local runner's do."""
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["synaug.runner.worker_imports"])
    return context


def start(context, folder: Path, at: int | None, **settings) -> tuple[int, int | None]:
    """(exit code, events) of a process that made the images, or was killed at `at`."""
    folder.mkdir(exist_ok=True)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(folder, at, sender, settings))
    process.start()
    process.join(300)
    return process.exitcode, receiver.recv() if process.exitcode == 0 else None


def objects(folder: Path) -> dict[str, bytes]:
    """Every file but the timing, temporary ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "timing" not in path.parts
    }


@pytest.fixture(scope="module")
def whole(context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill") / "whole"
    code, events = start(context, folder, None)
    assert (code, events) == (0, EVENTS)
    return objects(folder)


@pytest.mark.parametrize(
    "at", [pytest.param(at, marks=() if n < 2 else pytest.mark.slow) for n, at in enumerate(POINTS)]
)
def test_killed_and_continued_the_bytes_are_the_same(context, whole, tmp_path, at):
    folder = tmp_path / "store"
    assert start(context, folder, at)[0] == -signal.SIGKILL
    torn = objects(folder)
    manifests = [name for name in torn if "synthetic" in name and name.endswith(".json")]
    assert all(torn[name] == whole[name] and name.replace(".json", ".tar") in torn for name in manifests)
    assert start(context, folder, None)[0] == 0
    assert objects(folder) == whole


@pytest.mark.parametrize("name", ["flux", pytest.param("z_image", marks=pytest.mark.slow)])
def test_so_they_are_with_a_pipeline_of_diffusers(context, tmp_path, name):
    model = str(tiny_pipelines.save(name, tmp_path))
    own = {"profile": None, "model": model, "pipeline": tiny_pipelines.class_of(model), "width": 32, "height": 32}
    code, events = start(context, tmp_path / "whole", None, **own)
    assert code == 0 and events
    folder = tmp_path / "store"
    for at in (events // 3, events // 2):
        assert start(context, folder, at, **own)[0] == -signal.SIGKILL
    assert start(context, folder, None, **own)[0] == 0
    assert objects(folder) == objects(tmp_path / "whole")
