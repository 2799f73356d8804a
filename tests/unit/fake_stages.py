"""Imported by the fork server in place of the real libraries: stages that only publish what the real ones would."""

import json
import os
import sys
import threading
import time
import types

from synaug.config import arms
from synaug.data import layout
from synaug.errors import DataError
from synaug.run.job import Job, Progress


def work_forever() -> None:
    """Busy in small steps as a real stage is: a signal is seen between two, which a bare signal.pause() can miss."""
    while True:
        threading.Event().wait(0.05)


def _prompts(job: Job) -> None:
    for class_id in job.plan.class_shards[job.shard]:
        job.store.put(layout.prompts(job.run, class_id), b"{}")


def _images(job: Job) -> None:
    if job.shard == 1 and job.store.exists("fail"):
        print("a library's last words")
        raise DataError("shard 1 is broken")
    if job.store.exists("hang"):
        job.store.put(f"pid-{job.shard}", str(os.getpid()).encode())
        job.report(Progress("images", f"images-{job.shard:03d}", 1, 2, "image"))
        work_forever()
    from tests.planned import put_manifests

    job.report(Progress("images", f"images-{job.shard:03d}", 1, 2, "image"))
    plan = job.plan.model_copy(
        update={"class_shards": [s if n == job.shard else [] for n, s in enumerate(job.plan.class_shards)]}
    )
    for multiple in range(1, plan.scale + 1):
        put_manifests(job.store, plan, job.config, multiple, job.run)


def _index(job: Job) -> None:
    if job.store.exists("hang"):
        job.report(Progress("index", "index", 0, 1, "part"))
        work_forever()
    manifests = [key for key in job.store.list(layout.synthetic_folder(job.run)) if key.endswith(".json")]
    index = {"digest": job.plan.digest, "scale": job.plan.scale, "min_clip_score": None, "rejects": {}, "lost": []}
    index["parts"] = [{"manifest": key} for key in manifests]
    job.store.put(layout.index(job.run), json.dumps(index).encode())


def _train(job: Job) -> None:
    done = json.dumps(arms.resolve_arm(job.config, job.arm).frozen()).encode()
    job.store.put(layout.training(job.run, job.arm, job.seed, "done.json"), done)


def _evaluate(job: Job) -> None:
    from tests.planned import put_evaluation

    put_evaluation(job.store, job.config, job.arm, job.seed, job.run)


def _report(job: Job) -> None:
    job.store.put(layout.report(job.run), b"<html>")


def _recorded(stage: str, work):
    def run(job: Job) -> None:
        began = time.monotonic()
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        if gpus is not None and gpus == os.environ.get("FAKE_LOST_GPU"):
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        work(job)
        unit = job.shard if job.shard is not None else f"{job.arm}-{job.seed}"
        record = {
            "began": began,
            "ended": time.monotonic(),
            "pid": os.getpid(),
            "gpus": gpus,
            "preloaded": "tests.unit.fake_stages" in sys.modules,
        }
        job.store.put(f"done/{stage}-{unit}.json", json.dumps(record).encode())

    return run


for _name in ("prompts", "images", "index", "train", "evaluate", "report"):
    _module = types.ModuleType(f"synaug.stages.{_name}")
    _module.HELP, _module.EPILOG = "a fake", ""
    _module.run = _recorded(_name, globals()[f"_{_name}"])
    sys.modules[_module.__name__] = _module
