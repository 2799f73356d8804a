"""The launcher of a PyTorchJob: looks at a rhythm, tells, and ends as the verdict is."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from pipelines.jobs import Jobs
from pipelines.verdict import Seen, arrival, ended, line, verdict
from synaug import layout
from synaug.errors import DataError, TransientError
from synaug.failure import TERMINATED
from synaug.job import open_run
from synaug.store import open_store
from synaug.training import arms

LOOK = 5.0  # seconds between looks
TELL = 30.0  # seconds between lines
LINGER = 60.0  # that workers get to end by themselves once the model is published
TAIL = 2048  # bytes at the end of metrics.jsonl that surely hold its last line


class Launcher:
    """One arm and seed. `train` returns when its model is published, and raises otherwise."""

    def __init__(self, jobs: Jobs, job: dict[str, Any], *, store: str, run: str, arm: str, seed: int, uid: str):
        self.jobs, self.job, self.store = jobs, job, open_store(store)
        self.run, self.arm, self.seed, self.uid = run, arm, seed, uid
        self.name = job["metadata"]["name"]
        self.workers = job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]
        config, _ = open_run(self.store, run)
        recipe = arms.recipe(config, arm)
        self.steps, self.settings = recipe.steps, recipe.frozen()
        self.stopped = threading.Event()
        self.told = float("-inf")
        self.met: set[str] = set()  # workers' pods, by uid: one that is to start again is deleted, and another takes its name

    def train(self) -> None:
        if self.done():
            print(f"train {self.arm} seed {self.seed}: done already", flush=True)
            return
        self.begin()
        while not self.stopped.wait(LOOK):
            seen = self.look()
            end = verdict(seen)
            self.tell(seen, last=end is not False)
            if end is True:
                self.linger()
                return
            if end is not False:
                if seen.job and not ended(seen.job):
                    self.jobs.delete(self.name)
                raise end
        self.jobs.delete(self.name)
        raise SystemExit(TERMINATED)

    def begin(self) -> None:
        """A job of the name that works for this workflow is taken over: an earlier launcher was lost, or its answer from the API server."""
        while True:
            there = self.jobs.get(self.name)
            what = arrival(there, self.uid)
            if what == "adopt":
                print(f"PyTorchJob {self.name} is at work: taken over", flush=True)
                return
            if what == "remove":
                print(f"an older PyTorchJob {self.name} is removed", flush=True)
                self.jobs.remove(self.name, wait=self.pause)
            if self.jobs.create(self.job):
                print(f"PyTorchJob {self.name} created: {self.workers} workers", flush=True)
                return

    def pause(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise SystemExit(TERMINATED)

    def look(self) -> Seen:
        job = self.jobs.get(self.name)
        pods, events = self.jobs.pods(self.name), self.jobs.events(job["metadata"]["uid"]) if job else []
        try:  # after the job: a model that was published before the job ended is seen
            done = self.done()
        except TransientError as error:
            print(f"the store does not answer: {error}", flush=True)
            done = None
        self.met |= {pod["metadata"]["uid"] for pod in pods}
        return Seen(done=done, job=job, pods=pods, events=events, again=max(0, len(self.met) - self.workers))

    def tell(self, seen: Seen, *, last: bool) -> None:
        if not last and time.monotonic() - self.told < TELL:
            return
        self.told = time.monotonic()
        metrics = self.metrics() if seen.done is not None else None
        print(line(self.arm, self.seed, seen, metrics, steps=self.steps, workers=self.workers, now=time.time()), flush=True)
        if metrics and (path := os.environ.get("ARGO_PROGRESS_FILE")):
            Path(path).write_text(f"{metrics['step']}/{self.steps}")

    def linger(self) -> None:
        """Workers write their timing after the model; the next arm needs their GPUs."""
        until = time.monotonic() + LINGER
        while time.monotonic() < until and not self.stopped.wait(1.0):
            job = self.jobs.get(self.name)
            if job is None or ended(job):
                return
        self.jobs.delete(self.name)

    def done(self) -> bool:
        """A model of these very settings. One of other settings is for the train command to refuse, with the difference."""
        key = self.key("done.json")
        if not self.store.exists(key):
            return False
        published = json.loads(self.store.get(key))
        return all(published.get(name) == value for name, value in self.settings.items())

    def metrics(self) -> dict[str, Any] | None:
        """The last line of metrics.jsonl, None before the first checkpoint."""
        key = self.key("metrics.jsonl")
        try:
            if not self.store.exists(key):
                return None
            size = self.store.size(key)
            data = self.store.get(key, start=max(0, size - TAIL), length=min(size, TAIL))
        except (DataError, TransientError):  # it grows under our eyes, or the store is away for a moment: the next line tells more
            return None
        lines = data.decode().splitlines()
        return json.loads(lines[-1]) if lines else None

    def key(self, name: str) -> str:
        return layout.training(self.run, self.arm, self.seed, name)
