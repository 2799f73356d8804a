"""The launcher of a PyTorchJob: looks at the job at a rhythm, prints a line, and ends by the verdict."""

import json
import os
import time
from pathlib import Path
from typing import Any

from pipelines.launcher.jobs import TrainingJobs
from pipelines.launcher.verdict import (
    JobSnapshot,
    arrival,
    ended,
    exits,
    lacks_nodes,
    progress_line,
    terminations,
    verdict,
)
from synaug.config import arms
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError, TransientError
from synaug.run.completion import training_is_current
from synaug.run.job import open_run

LOOK = 5.0  # seconds between looks
PRINT = 30.0  # seconds between lines
LINGER = 60.0  # that workers get to end by themselves once the model is published
LOG_LINES = 100  # of a failed worker
TAIL = 2048  # bytes at the end of metrics.jsonl that surely hold its last line


class Launcher:
    """One arm and seed. `train` returns when its model is published, and raises otherwise."""

    def __init__(self, jobs: TrainingJobs, job: dict[str, Any], *, store: str, run: str, arm: str, seed: int, uid: str):
        self.jobs, self.job, self.store = jobs, job, open_store(store)
        self.run, self.arm, self.seed, self.uid = run, arm, seed, uid
        self.name: str = job["metadata"]["name"]
        self.workers: int = job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]
        config, _ = open_run(self.store, run)
        self.resolved = arms.resolve_arm(config, arm)
        self.steps = self.resolved.steps
        self.printed_at = float("-inf")
        # workers' pods, name -> uids: one that is to start again is deleted; another takes its name
        self.pod_uids: dict[str, list[str]] = {}
        self.ended_uids: set[str] = set()  # of pods whose end is printed
        self.restarts, self.short_of_nodes, self.job_begun = 0, True, False

    def train(self) -> None:
        """Train the arm, taking the job along on SIGTERM.

        SystemExit, which a SIGTERM raises wherever it comes, removes the job at once: waiting for a store would
        outlast the pod's grace.
        """
        try:
            self.follow()
        except SystemExit:
            if self.job_begun:
                self.jobs.delete(self.name)
            raise

    def follow(self) -> None:
        """Create the job and look at it until the verdict is clear. Raises what the training ended with."""
        if self.done():
            print(f"train {self.arm} seed {self.seed}: done already", flush=True)
            return
        self.begin()
        while True:
            time.sleep(LOOK)
            snapshot = self.look()
            end = verdict(snapshot)
            self.print_line(snapshot, last=end is not False)
            if end is True:
                self.linger()
                return
            if end is not False:
                if snapshot.job:
                    self.print_log(snapshot)
                    if not ended(snapshot.job):
                        self.jobs.delete(self.name)
                raise end

    def begin(self) -> None:
        """Create the job, or take over one of the name that works for this workflow.

        An earlier launcher was lost then, or its answer from the API server.
        """
        while True:
            existing = self.jobs.get(self.name)
            action = arrival(existing, self.uid)
            if action == "adopt":
                print(f"PyTorchJob {self.name} is at work: taken over", flush=True)
                self.job_begun = True
                return
            if action == "remove":
                print(f"an older PyTorchJob {self.name} is removed", flush=True)
                self.jobs.remove(self.name)
            self.job_begun = True  # a stop from here on takes it along
            if self.jobs.create(self.job):
                print(f"PyTorchJob {self.name} created: {self.workers} workers", flush=True)
                return

    def look(self) -> JobSnapshot:
        """Read the job, its pods, their events and the store."""
        job = self.jobs.get(self.name)
        pods, events = self.jobs.pods(self.name), self.jobs.events(job["metadata"]["uid"]) if job else []
        done: bool | None
        try:  # after the job: a model that was published before the job ended is seen
            done = self.done()
        except TransientError as error:
            print(f"the store does not answer: {error}", flush=True)
            done = None
        self.count_restarts(pods, events)
        restarts = {name: len(uids) - 1 for name, uids in self.pod_uids.items()}
        return JobSnapshot(done=done, job=job, pods=pods, events=events, again=self.restarts, restarts=restarts)

    def count_restarts(self, pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
        """Count workers that were started again, and print each end once.

        Pods of a Failed job stay; others are gone within a second.
        """
        codes = {end.pod: end.code for end in exits(events)}  # the last of each worker
        for pod in pods:
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            uids = self.pod_uids.setdefault(name, [])
            if uid not in uids:
                if uids:
                    self.restarts += not self.short_of_nodes
                    code = f" (exit code {codes[name]})" if name in codes and uids[-1] not in self.ended_uids else ""
                    print(f"worker-{name.rpartition('-')[2]} is started again{code}", flush=True)
                uids.append(uid)
        for pod in pods:
            for end in terminations([pod]):
                if pod["metadata"]["uid"] not in self.ended_uids:
                    reason = f": {end.line}" if end.line else ""
                    print(f"worker-{end.pod.rpartition('-')[2]} ended with exit code {end.code}{reason}", flush=True)
                self.ended_uids.add(pod["metadata"]["uid"])
        self.short_of_nodes = lacks_nodes(pods, self.workers)

    def print_log(self, snapshot: JobSnapshot) -> None:
        """Print the end of the failed worker's log, which this pod's outlives.

        Of a worker that is gone: what it left in the store.
        """
        text, name = "", "a worker"
        if failed := [end for end in terminations(snapshot.pods) if end.code]:
            name = min(failed, key=lambda end: (end.code, end.pod)).pod  # permanent codes are the small ones
            text = self.jobs.log(name, LOG_LINES)
        if not text and snapshot.done is not None:
            key = layout.log(self.run, "train", f"{self.arm}-{self.seed}")
            try:
                text = self.store.get(key).decode(errors="replace") if self.store.exists(key) else ""
            except (DataError, TransientError):  # the verdict matters more
                return
        if text:
            print(f"--- the end of the log of {name}:\n{text.rstrip()}\n---", flush=True)

    def print_line(self, snapshot: JobSnapshot, *, last: bool) -> None:
        """Print where the training is, every PRINT seconds and at the end, and write Argo's progress."""
        if not last and time.monotonic() - self.printed_at < PRINT:
            return
        self.printed_at = time.monotonic()
        metrics = self.metrics() if snapshot.done is not None else None
        line = progress_line(
            self.arm, self.seed, snapshot, metrics, steps=self.steps, workers=self.workers, now=time.time()
        )
        print(line, flush=True)
        if metrics and (path := os.environ.get("ARGO_PROGRESS_FILE")):
            Path(path).write_text(f"{metrics['step']}/{self.steps}")

    def linger(self) -> None:
        """Wait until the job has ended, LINGER seconds at the longest, then remove it.

        Workers write their timing after the model; the next arm needs their GPUs.
        """
        until = time.monotonic() + LINGER
        while time.monotonic() < until:
            time.sleep(min(1.0, LOOK))
            job = self.jobs.get(self.name)
            if job is None or ended(job):
                return
        self.jobs.delete(self.name)

    def done(self) -> bool:
        """Say whether a model of these very settings is published.

        One of other settings is for the train command to refuse, with the difference.
        """
        key = self.key("done.json")
        if not self.store.exists(key):
            return False
        return training_is_current(json.loads(self.store.get(key)), self.resolved)

    def metrics(self) -> dict[str, Any] | None:
        """Read the last line of metrics.jsonl, None before the first checkpoint."""
        key = self.key("metrics.jsonl")
        try:
            if not self.store.exists(key):
                return None
            size = self.store.size(key)
            data = self.store.get(key, start=max(0, size - TAIL), length=min(size, TAIL))
        except (DataError, TransientError):  # it grows meanwhile, or the store is away: the next line has more
            return None
        lines = data.decode().splitlines()
        return json.loads(lines[-1]) if lines else None

    def key(self, name: str) -> str:
        """Spell the key of one of the training's objects."""
        return layout.training(self.run, self.arm, self.seed, name)
