"""A few images of a run as its images stage would make them, and how fast they came."""

import io
import time
from dataclasses import dataclass

import torch
from PIL import Image

from synaug import layout
from synaug.backends.clip import open_clip_model
from synaug.backends.diffusion import open_diffusion
from synaug.compose import load_prompts
from synaug.contact_sheet import Row
from synaug.devices import find_device
from synaug.estimate import rate_of
from synaug.generation.again import members_of
from synaug.generation.batches import batches, chunks
from synaug.generation.part import PartMaker, generate, recipe, texts_of
from synaug.generation.versions import versions
from synaug.job import Job, Progress
from synaug.manifest import Manifest
from synaug.pools import real_pool
from synaug.prompts_file import ClassPrompts
from synaug.quotas import Part
from synaug.store import locate

COLUMNS = 8  # synthetic images beside each other on the sheet


@dataclass(frozen=True)
class Trial:
    timing: dict
    prompts: list[ClassPrompts]


def trial(job: Job, images: int) -> Trial:
    """Makes `images` images of the job's classes as one part; its store is an Overlay. The rate leaves out loading and warm-up."""
    config, classes = job.config, job.plan.class_shards[0]
    device = find_device(config.compute.device)
    torch.set_num_threads(config.threads)
    start = time.perf_counter()
    diffusion, clip = open_diffusion(config, device), open_clip_model(config)
    part = Part(1, 0, 0, tuple((classes[n % len(classes)], n // len(classes)) for n in range(images)))
    asked = recipe(job.store, job.run, config, job.plan, part)
    todo = batches(asked.images, config.images.batch_size)
    for first in {batch.guidance_scale: batch for batch in reversed(todo)}.values():
        generate(diffusion, config, first, diffusion.encode(texts_of([first])))
    warm = time.perf_counter()
    done = [0]

    def progress(good: int, rejected: int) -> None:
        done[0] += good
        job.report(Progress("preview", "preview", done[0], images, "image"))

    now = versions(device)
    maker = PartMaker(
        store=job.store, run=job.run, config=config, plan=job.plan, diffusion=diffusion, clip=clip, versions=now, threads=1, done=progress
    )
    try:
        maker.make(asked)
    finally:
        maker.close()
    seconds = time.perf_counter() - warm
    manifest = _manifest(job)
    timing = {
        "of": rate_of(config, job.plan.models, config.compute.pool or job.plan.pool),
        "rate": round(sum(batch.size for batch in todo) / seconds, 3),  # padding counts: whole parts hardly have any
        "device": now["device"], "bytes_per_image": round(manifest.bytes / max(1, len(manifest.key))), "batch_size": manifest.batch_size,
        "images": images, "rejected": len(manifest.rejects), "seconds": round(seconds, 3), "warm_up_seconds": round(warm - start, 3),
    }  # fmt: skip
    return Trial(timing, [load_prompts(job.store, job.run, class_id)[0] for class_id in classes])


def _manifest(job: Job) -> Manifest:
    return Manifest.model_validate_json(job.store.get(layout.synthetic_manifest(job.run, 1, 0, 0)))


def rows(job: Job, real: int) -> list[Row]:
    """Of each class: its first real images and the synthetic ones that `trial` made."""
    manifest = _manifest(job)
    members = members_of(job.store.get(manifest.tar))
    photos = _real_images(job, real)
    made = []
    for class_id in job.plan.class_shards[0]:
        keys = sorted(key for key, owner in zip(manifest.key, manifest.class_id, strict=True) if owner == class_id)
        pictures = [(Image.open(io.BytesIO(members[f"{key}.jpg"])), members[f"{key}.txt"].decode()) for key in keys]
        lines = chunks(pictures, COLUMNS) or [[]]
        made += [Row(class_id if n == 0 else "", photos[class_id] if n == 0 else [], line) for n, line in enumerate(lines)]
    return made


def _real_images(job: Job, count: int) -> dict[str, list[Image.Image]]:
    labels = {job.plan.labels[class_id]: class_id for class_id in job.plan.class_shards[0]}
    found: dict[str, list[Image.Image]] = {class_id: [] for class_id in labels.values()}
    for table in real_pool(job.store, job.config, job.plan):
        store, key = locate(job.store, table.tar)
        for label, offset, length in zip(table.label, table.offset, table.length, strict=True):
            if label in labels and len(found[labels[label]]) < count:
                found[labels[label]].append(Image.open(io.BytesIO(store.get(key, start=offset, length=length))))
        if all(len(images) >= count for images in found.values()):
            break
    return found
