"""The synthetic images of one class shard: every part of x1 ... xk that has no manifest yet."""

from synaug.run.job import Job, Progress

HELP = "generate the synthetic images of a class shard"
EPILOG = """\
reads    run.yaml, plan.json and prompts/{class_id}.json of the run; the diffusion and CLIP weights
writes   synthetic/x{m}/{shard}-{part}.tar and, last, its manifest beside it; timing/images/{shard}.json
needs    the prompts of the shard's classes. Parts with a manifest are skipped; an interrupted part is made again
example  synaug images --store file:///data/store --run first --shard 0
"""


def run(job: Job) -> None:
    """Makes what is missing; a second call does nothing. Raises ModelError, DataError, UsageError, TransientError."""
    from synaug.backends.devices import find_device
    from synaug.data import layout
    from synaug.data.index import drop_from_index
    from synaug.prompts.fallback_limit import refuse_fallbacks
    from synaug.run import outputs

    timing: dict = {}
    shards = range(len(job.plan.class_shards)) if job.shard is None else [job.shard]
    for shard in shards:
        parts = [part for m in range(1, job.plan.scale + 1) for part in job.plan.parts(job.config, shard, m)]
        missing = [
            p for p in parts if not job.store.exists(layout.synthetic_manifest(job.run, p.multiple, p.shard, p.number))
        ]
        total = sum(len(part.images) for part in parts)
        done = total - sum(len(part.images) for part in missing)
        if missing:
            find_device(job.config.compute.device)
            _check_prompts(job, shard, {class_id for part in missing for class_id, _ in part.images})
            refuse_fallbacks(job)
            drop_from_index(job.store, job.run, {layout.synthetic_manifest(job.run, p.multiple, p.shard, p.number) for p in missing})
            timing = _make(job, shard, missing, done, total)
        job.report(Progress("images", f"images-{shard:03d}", total, total, "image"))
        outputs.write("summary", lambda parts=parts, timing=timing: _summary(job, parts, timing))


def _check_prompts(job: Job, shard: int, classes: set[str]) -> None:
    """Raises DataError for a prompts file that is missing or broken, before minutes are spent on loading models."""
    from synaug.data import layout
    from synaug.errors import DataError
    from synaug.prompts.compose import load_prompts

    there = set(job.store.list(layout.prompts_folder(job.run)))
    if absent := sorted(class_id for class_id in classes if layout.prompts(job.run, class_id) not in there):
        command = f"synaug prompts --store {job.store.url} --run {job.run} --shard {shard}"
        raise DataError(
            f"{len(absent)} of {len(classes)} classes have no prompts file, like {absent[0]}; do `{command}` first"
        )
    for class_id in sorted(classes):
        load_prompts(job.store, job.run, class_id)


def _summary(job: Job, parts: list, timing: dict) -> dict:
    """Of the whole shard, so that nothing of an earlier, interrupted pod is left out; seconds and rate of this one."""
    from collections import Counter
    from concurrent.futures import ThreadPoolExecutor

    from synaug.data import layout
    from synaug.data.manifest import Manifest

    keys = [layout.synthetic_manifest(job.run, part.multiple, part.shard, part.number) for part in parts]
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


def _make(job: Job, shard: int, missing: list, done: int, total: int) -> dict:
    """Returns what it leaves as timing."""
    import json
    import time

    import torch

    from synaug.backends.clip import open_clip_model
    from synaug.backends.devices import find_device
    from synaug.backends.diffusion import open_diffusion
    from synaug.data import layout
    from synaug.generation.part import PartMaker, recipe
    from synaug.run.pinned import check_planned
    from synaug.run.versions import versions

    torch.set_num_threads(job.config.threads)
    device = find_device(job.config.compute.device)
    diffusion, clip = open_diffusion(job.config, device), open_clip_model(job.config)
    check_planned(job.plan, diffusion.info, clip.info)
    counts = {"done": done, "rejected": 0, "warm": None}

    def progress(good: int, rejected: int) -> None:
        counts["done"] += good
        counts["rejected"] += rejected
        if counts["warm"] is None:
            counts["warm"] = (time.perf_counter(), counts["done"])
        job.report(
            Progress("images", f"images-{shard:03d}", counts["done"], total, "image", {"rejected": counts["rejected"]})
        )

    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=job.config,
        plan=job.plan,
        diffusion=diffusion,
        clip=clip,
        versions=versions(device),
        threads=1 if device.type == "cpu" else 4,
        done=progress,
    )
    start = time.perf_counter()
    try:
        for part in missing:
            maker.make(recipe(job.store, job.run, job.config, job.plan, part))
    finally:
        maker.close()
    end = time.perf_counter()
    warm_at, warm_done = counts["warm"]
    rate = (counts["done"] - warm_done) / (end - warm_at) if end > warm_at else 0.0
    phases = {name: round(seconds, 3) for name, seconds in (diffusion.seconds | maker.stopwatch.seconds).items()}
    timing = {
        "seconds": round(end - start, 3),
        "images": counts["done"] - done,
        "rejected": counts["rejected"],
        "rate": round(rate, 3),
        "phases": phases,
        "batch_size": maker.batch_size,
        "device": versions(device)["device"],
    }
    job.store.put(layout.timing(job.run, "images", f"{shard:03d}"), json.dumps(timing, indent=1).encode())
    return timing
