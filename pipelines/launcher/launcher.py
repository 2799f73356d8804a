"""The launcher of a PyTorchJob: looks at a rhythm, tells, and ends as the verdict is."""

import json
import os
import time
from pathlib import Path
from typing import Any

from pipelines.launcher.jobs import Jobs
from pipelines.launcher.verdict import JobSnapshot, arrival, ended, exits, line, short, terminations, verdict
from synaug.config import arms
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError, TransientError
from synaug.run.completion import training_is_current
from synaug.run.job import open_run

LOOK = 5.0  # seconds between looks
TELL = 30.0  # seconds between lines
LINGER = 60.0  # that workers get to end by themselves once the model is published
LOG_LINES = 100  # of a failed worker
TAIL = 2048  # bytes at the end of metrics.jsonl that surely hold its last line


class Launcher:
    """One arm and seed. `train` returns when its model is published, and raises otherwise."""

    def __init__(self, jobs: Jobs, job: dict[str, Any], *, store: str, run: str, arm: str, seed: int, uid: str):
        self.jobs, self.job, self.store = jobs, job, open_store(store)
        self.run, self.arm, self.seed, self.uid = run, arm, seed, uid
        self.name = job["metadata"]["name"]
        self.workers = job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]
        config, _ = open_run(self.store, run)
        self.resolved = arms.resolve_arm(config, arm)
        self.steps = self.resolved.steps
        self.told = float("-inf")
        self.met: dict[
            str, list[str]
        ] = {}  # workers' pods, name -> uids: one that is to start again is deleted; another takes its name
        self.ends: set[str] = set()  # uids whose end is told
        self.again, self.short, self.begun = 0, True, False

    def train(self) -> None:
        """SystemExit, which a SIGTERM raises wherever it comes, takes the job along: waiting for a store would outlast the pod's grace."""
        try:
            self.follow()
        except SystemExit:
            if self.begun:
                self.jobs.delete(self.name)
            raise

    def follow(self) -> None:
        if self.done():
            print(f"train {self.arm} seed {self.seed}: done already", flush=True)
            return
        self.begin()
        while True:
            time.sleep(LOOK)
            seen = self.look()
            end = verdict(seen)
            self.tell(seen, last=end is not False)
            if end is True:
                self.linger()
                return
            if end is not False:
                if seen.job:
                    self.tell_log(seen)
                    if not ended(seen.job):
                        self.jobs.delete(self.name)
                raise end

    def begin(self) -> None:
        """A job of the name that works for this workflow is taken over: an earlier launcher was lost, or its answer from the API server."""
        while True:
            there = self.jobs.get(self.name)
            what = arrival(there, self.uid)
            if what == "adopt":
                print(f"PyTorchJob {self.name} is at work: taken over", flush=True)
                self.begun = True
                return
            if what == "remove":
                print(f"an older PyTorchJob {self.name} is removed", flush=True)
                self.jobs.remove(self.name)
            self.begun = True  # a stop from here on takes it along
            if self.jobs.create(self.job):
                print(f"PyTorchJob {self.name} created: {self.workers} workers", flush=True)
                return

    def look(self) -> JobSnapshot:
        job = self.jobs.get(self.name)
        pods, events = self.jobs.pods(self.name), self.jobs.events(job["metadata"]["uid"]) if job else []
        try:  # after the job: a model that was published before the job ended is seen
            done = self.done()
        except TransientError as error:
            print(f"the store does not answer: {error}", flush=True)
            done = None
        self.meet(pods, events)
        restarts = {name: len(uids) - 1 for name, uids in self.met.items()}
        return JobSnapshot(done=done, job=job, pods=pods, events=events, again=self.again, restarts=restarts)

    def meet(self, pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
        """Counts workers that were started again, and tells each end once. Pods of a Failed job stay; others are gone within a second."""
        codes = dict(exits(events))  # the last of each worker
        for pod in pods:
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            met = self.met.setdefault(name, [])
            if uid not in met:
                if met:
                    self.again += not self.short
                    code = f" (exit code {codes[name]})" if name in codes and met[-1] not in self.ends else ""
                    print(f"worker-{name.rpartition('-')[2]} is started again{code}", flush=True)
                met.append(uid)
        for pod in pods:
            for name, code, said in terminations([pod]):
                if pod["metadata"]["uid"] not in self.ends:
                    print(
                        f"worker-{name.rpartition('-')[2]} ended with exit code {code}{f': {said}' if said else ''}",
                        flush=True,
                    )
                self.ends.add(pod["metadata"]["uid"])
        self.short = short(pods, self.workers)

    def tell_log(self, seen: JobSnapshot) -> None:
        """The end of the failed worker's log, which this pod's outlives; of one that is gone, what it left in the store."""
        failed = sorted(
            (code, name) for name, code, _ in terminations(seen.pods) if code
        )  # permanent codes are the small ones
        text, name = "", "a worker"
        if failed:
            name = failed[0][1]
            text = self.jobs.log(name, LOG_LINES)
        if not text and seen.done is not None:
            key = layout.log(self.run, "train", f"{self.arm}-{self.seed}")
            try:
                text = self.store.get(key).decode(errors="replace") if self.store.exists(key) else ""
            except (DataError, TransientError):  # the verdict matters more
                return
        if text:
            print(f"--- the end of the log of {name}:\n{text.rstrip()}\n---", flush=True)

    def tell(self, seen: JobSnapshot, *, last: bool) -> None:
        if not last and time.monotonic() - self.told < TELL:
            return
        self.told = time.monotonic()
        metrics = self.metrics() if seen.done is not None else None
        print(
            line(self.arm, self.seed, seen, metrics, steps=self.steps, workers=self.workers, now=time.time()),
            flush=True,
        )
        if metrics and (path := os.environ.get("ARGO_PROGRESS_FILE")):
            Path(path).write_text(f"{metrics['step']}/{self.steps}")

    def linger(self) -> None:
        """Workers write their timing after the model; the next arm needs their GPUs."""
        until = time.monotonic() + LINGER
        while time.monotonic() < until:
            time.sleep(min(1.0, LOOK))
            job = self.jobs.get(self.name)
            if job is None or ended(job):
                return
        self.jobs.delete(self.name)

    def done(self) -> bool:
        """A model of these very settings. One of other settings is for the train command to refuse, with the difference."""
        key = self.key("done.json")
        if not self.store.exists(key):
            return False
        return training_is_current(json.loads(self.store.get(key)), self.resolved)

    def metrics(self) -> dict[str, Any] | None:
        """The last line of metrics.jsonl, None before the first checkpoint."""
        key = self.key("metrics.jsonl")
        try:
            if not self.store.exists(key):
                return None
            size = self.store.size(key)
            data = self.store.get(key, start=max(0, size - TAIL), length=min(size, TAIL))
        except (
            DataError,
            TransientError,
        ):  # it grows under our eyes, or the store is away for a moment: the next line tells more
            return None
        lines = data.decode().splitlines()
        return json.loads(lines[-1]) if lines else None

    def key(self, name: str) -> str:
        return layout.training(self.run, self.arm, self.seed, name)
