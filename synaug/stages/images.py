"""The synthetic images of one class shard: every part of x1 ... xk that has no manifest yet.

torch and the models are imported when there is something to make.
"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from synaug.backends.devices import find_device
from synaug.data import layout
from synaug.data.index import drop_from_index
from synaug.data.manifest import Manifest
from synaug.errors import DataError
from synaug.prompts.fallback_limit import refuse_fallbacks
from synaug.prompts.schema import load_prompts
from synaug.run import outputs
from synaug.run.completion import Completion
from synaug.run.environment import image_versions
from synaug.run.job import Job, Progress
from synaug.run.plan import check_planned
from synaug.run.quotas import Part

HELP = "generate the synthetic images of a class shard"
EPILOG = """\
reads    run.yaml, plan.json and prompts/{class_id}.json of the run; the diffusion and CLIP weights
writes   synthetic/x{m}/{shard}-{part}.tar and, last, its manifest beside it; timing/images/{shard}.json
needs    the prompts of the shard's classes. Parts with a manifest are skipped; an interrupted part is made again
example  synaug images --store file:///data/store --run first --shard 0
"""


def run(job: Job) -> None:
    """Make what is missing; a second call does nothing. Raises ModelError, DataError, UsageError, TransientError."""
    timing: dict[str, Any] = {}
    shards = range(len(job.plan.class_shards)) if job.shard is None else [job.shard]
    for shard in shards:
        completion = Completion(job.store, job.run, job.config, job.plan)  # as it is now: others may work on this run
        parts = job.plan.shard_parts(job.config, shard)
        missing = completion.missing_parts(parts)
        total = sum(len(part.images) for part in parts)
        if missing:
            find_device(job.config.compute.device)
            _check_prompts(job, shard, {class_id for part in missing for class_id, _ in part.images})
            refuse_fallbacks(job)
            drop_from_index(job.store, job.run, {completion.manifest(part) for part in missing})
            timing = _make(job, shard, missing, total)
        job.report(Progress("images", f"images-{shard:03d}", total, total, "image"))
        manifests = [completion.manifest(part) for part in parts]
        outputs.write("summary", lambda manifests=manifests, timing=timing: _summary(job, manifests, timing))


def _check_prompts(job: Job, shard: int, classes: set[str]) -> None:
    """Raises DataError for a prompts file that is missing or broken, before minutes are spent on loading models."""
    there = set(job.store.list(layout.prompts_folder(job.run)))
    if absent := sorted(class_id for class_id in classes if layout.prompts(job.run, class_id) not in there):
        command = f"synaug prompts --store {job.store.url} --run {job.run} --shard {shard}"
        raise DataError(
            f"{len(absent)} of {len(classes)} classes have no prompts file, like {absent[0]}; do `{command}` first"
        )
    for class_id in sorted(classes):
        load_prompts(job.store, job.run, class_id)


def _summary(job: Job, keys: list[str], timing: dict[str, Any]) -> dict[str, Any]:
    """Of the whole shard, so that nothing of an earlier, interrupted pod is left out; seconds and rate of this one."""
    with ThreadPoolExecutor(8) as readers:
        manifests = [Manifest.model_validate_json(data) for data in readers.map(job.store.get, keys)]
    return {
        "images": sum(len(manifest.key) for manifest in manifests),
        "lost": sum(len(manifest.lost) for manifest in manifests),
        "rejected": dict(Counter(reject.reason for manifest in manifests for reject in manifest.rejects)),
        "made": timing.get("images", 0),
        "seconds": timing.get("seconds", 0.0),
        "rate": timing.get("rate"),
        "device": timing.get("device"),
    }


class _Meter:
    """Images done and rejected, as batches come; its rate leaves out the first batch, in which models warm up."""

    def __init__(self, job: Job, shard: int, before: int, total: int):
        self.job, self.shard, self.total = job, shard, total
        self.before, self.done, self.rejected = before, before, 0
        self.warm: tuple[float, int] | None = None  # the moment after the first batch, and the images done by then

    def add(self, good: int, rejected: int) -> None:
        """Count a batch and report it."""
        self.done += good
        self.rejected += rejected
        if self.warm is None:
            self.warm = (time.perf_counter(), self.done)
        detail = {"rejected": self.rejected}
        self.job.report(Progress("images", f"images-{self.shard:03d}", self.done, self.total, "image", detail))

    def rate(self, end: float) -> float:
        """Images a second from the first batch to `end`, 0 where there was no other."""
        if self.warm is None:
            return 0.0
        moment, done = self.warm
        return (self.done - done) / (end - moment) if end > moment else 0.0


def _make(job: Job, shard: int, missing: list[Part], total: int) -> dict[str, Any]:
    """Returns what it leaves as timing."""
    import torch

    from synaug.backends.clip import open_clip_model
    from synaug.backends.diffusion import open_diffusion
    from synaug.backends.levers import levers_of
    from synaug.generation.part import PartMaker, request_part

    torch.set_num_threads(job.config.threads)
    device = find_device(job.config.compute.device)
    diffusion, clip = open_diffusion(job.config, device), open_clip_model(job.config)
    check_planned(job.plan, diffusion.info, clip.info)
    meter = _Meter(job, shard, total - sum(len(part.images) for part in missing), total)
    versions = image_versions(device) | levers_of(job.config.images)
    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=job.config,
        plan=job.plan,
        diffusion=diffusion,
        clip=clip,
        versions=versions,
        threads=1 if device.type == "cpu" else 4,
        done=meter.add,
    )
    start = time.perf_counter()
    try:
        for part in missing:
            maker.make(request_part(job.store, job.run, job.config, job.plan, part))
    finally:
        maker.close()
    end = time.perf_counter()
    phases = {name: round(seconds, 3) for name, seconds in (diffusion.seconds | maker.stopwatch.seconds).items()}
    timing = {
        "seconds": round(end - start, 3),
        "images": meter.done - meter.before,
        "rejected": meter.rejected,
        "rate": round(meter.rate(end), 3),
        "phases": phases,
        "batch_size": maker.batch_size,
        "device": versions["device"],
    }
    job.store.put(layout.timing(job.run, "images", f"{shard:03d}"), json.dumps(timing, indent=1).encode())
    return timing
