"""A few images of a run as its images stage would make them, and how fast they came."""

import time
from dataclasses import dataclass

import torch
from PIL import Image

from synaug.backends.clip import open_clip_model
from synaug.backends.devices import find_device
from synaug.backends.diffusion import open_diffusion
from synaug.data import layout
from synaug.data.images import decode_rgb, read_rgb
from synaug.data.manifest import Manifest
from synaug.data.pools import real_pool
from synaug.data.seeding import key_of
from synaug.data.webdataset import fetch_tar, image_bytes, read_members
from synaug.generation.batching import batches, chunks
from synaug.generation.part import PartMaker, PartRequest, generate, recipe, texts_of
from synaug.prompts.compose import load_prompts
from synaug.prompts.schema import ClassPrompts
from synaug.reporting.contact_sheet import PromptedImage, SheetRow
from synaug.run.environment import image_versions
from synaug.run.job import Job, Progress
from synaug.run.quotas import Part
from synaug.run.rates import images_digest

COLUMNS = 8  # synthetic images beside each other on the sheet


TIMED_BATCHES, TIMED_SECONDS = 4, 60  # the rate is of so many full batches, or of as many as that time allows


@dataclass(frozen=True)
class Trial:
    timing: dict
    prompts: list[ClassPrompts]


def trial(job: Job, images: int) -> Trial:
    """Makes `images` images of the job's class shard, and more where the rate needs full batches, as one part; its store is an Overlay.

    The rate leaves out loading and warm-up.
    """
    config, classes = job.config, job.plan.class_shards[job.shard]
    device = find_device(config.compute.device)
    torch.set_num_threads(config.threads)
    start = time.perf_counter()
    diffusion, clip = open_diffusion(config, device), open_clip_model(config)
    loaded = time.perf_counter()
    todo = batches(_recipe(job, images).images, config.images.batch_size)
    first = {batch.guidance_scale: batch for batch in reversed(todo)}.values()
    for batch in first:
        generate(diffusion, config, batch, diffusion.encode(texts_of([batch])))
    warm = time.perf_counter()
    second = (warm - loaded) / sum(batch.size for batch in first)
    full = min(TIMED_BATCHES * config.images.batch_size, int(TIMED_SECONDS / second), job.plan.part_images)
    asked = _recipe(job, max(images, full))
    todo, done, total = batches(asked.images, config.images.batch_size), [0], max(images, full)

    def progress(good: int, rejected: int) -> None:
        done[0] += good
        job.report(Progress("preview", f"preview-{job.shard:03d}", done[0], total, "image"))

    now = image_versions(device)
    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=config,
        plan=job.plan,
        diffusion=diffusion,
        clip=clip,
        versions=now,
        threads=1 if device.type == "cpu" else 4,
        done=progress,
    )
    warm = time.perf_counter()
    try:
        maker.make(asked)
    finally:
        maker.close()
    seconds = time.perf_counter() - warm
    manifest = _manifest(job, job.shard)
    timing = {
        "of": images_digest(config, job.plan.models, config.compute.pool or job.plan.pool),
        "rate": round(sum(batch.size for batch in todo) / seconds, 3),  # padding counts: whole parts hardly have any
        "device": now["device"],
        "bytes_per_image": round(manifest.bytes / max(1, len(manifest.key))),
        "batch_size": manifest.batch_size,
        "images": total,
        "rejected": len(manifest.rejects),
        "seconds": round(seconds, 3),
        "load_seconds": round(loaded - start, 3),
        "warm_up_seconds": round(warm - loaded, 3),
    }
    return Trial(timing, [load_prompts(job.store, job.run, class_id)[0] for class_id in classes])


def shown(classes: list[str], images: int) -> list[tuple[str, int]]:
    """(class id, index) of the images of a preview, class by class in turn."""
    return [(classes[n % len(classes)], n // len(classes)) for n in range(images)]


def _recipe(job: Job, images: int) -> PartRequest:
    part = Part(1, job.shard, 0, tuple(shown(job.plan.class_shards[job.shard], images)))
    return recipe(job.store, job.run, job.config, job.plan, part)


def _manifest(job: Job, shard: int) -> Manifest:
    return Manifest.model_validate_json(job.store.get(layout.synthetic_manifest(job.run, 1, shard, 0)))


def rows(job: Job, real: int, images: list[int]) -> list[SheetRow]:
    """Of each class: its first real images and the synthetic ones that `trial` was asked for, `images` of each class shard."""
    photos = _real_images(job, real)
    made = {}
    for shard, classes in enumerate(job.plan.class_shards):
        manifest, wanted = _manifest(job, shard), {key_of(*one) for one in shown(classes, images[shard])}
        tar = fetch_tar(job.store, manifest)
        members = read_members(tar)
        by_key = sorted((row.key, n, row.class_id) for n, row in enumerate(manifest.rows()) if row.key in wanted)
        for class_id in classes:
            pictures = [
                PromptedImage(
                    decode_rgb(image_bytes(tar, manifest, n), job.store, manifest, n),
                    members[f"{key}.txt"].decode(),
                )
                for key, n, owner in by_key
                if owner == class_id
            ]
            lines = chunks(pictures, COLUMNS) or [[]]
            made[class_id] = [
                SheetRow(class_id if n == 0 else "", photos[class_id] if n == 0 else [], line)
                for n, line in enumerate(lines)
            ]
    return [row for class_id in job.plan.real_counts if class_id in made for row in made[class_id]]


def _real_images(job: Job, count: int) -> dict[str, list[Image.Image]]:
    labels = {job.plan.labels[class_id]: class_id for classes in job.plan.class_shards for class_id in classes}
    found: dict[str, list[Image.Image]] = {class_id: [] for class_id in labels.values()}
    for table in real_pool(job.store, job.config, job.plan.classes):
        for row, label in enumerate(table.label):
            if label in labels and len(found[labels[label]]) < count:
                found[labels[label]].append(read_rgb(job.store, table, row))
        if all(len(images) >= count for images in found.values()):
            break
    return found
