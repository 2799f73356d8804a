"""A few images of a run as its images stage would make them, and how fast they came."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from synaug.backends.clip import open_clip_model
from synaug.backends.devices import find_device
from synaug.backends.diffusion import open_diffusion
from synaug.backends.levers import levers_of
from synaug.data import layout
from synaug.data.images import decode_rgb, read_rgb
from synaug.data.manifest import Manifest
from synaug.data.pools import real_pool
from synaug.data.seeding import key_of
from synaug.data.webdataset import fetch_tar, image_bytes, read_members
from synaug.generation.batching import cut_batches, cut_chunks, unique_prompts
from synaug.generation.part import PartMaker, PartRequest, generate_batch, request_part
from synaug.prompts.schema import ClassPrompts, load_prompts
from synaug.reporting.contact_sheet import PromptedImage, SheetRow
from synaug.run.environment import image_versions
from synaug.run.job import Job, Progress
from synaug.run.quotas import Part
from synaug.run.rates import images_digest

COLUMNS = 8  # synthetic images beside each other on the sheet
TIMED_BATCHES, TIMED_SECONDS = 4, 60  # the rate is of so many full batches, or of as many as that time allows


@dataclass(frozen=True)
class PreviewedShard:
    """How fast the images of a class shard came, and the prompts files that they were made from."""

    timing: dict[str, Any]
    prompts: list[ClassPrompts]


def make_images(job: Job, shard: int, images: int) -> PreviewedShard:
    """Make `images` images of a class shard as one part, and more where the rate needs full batches.

    The job's store is an `Overlay`. The rate leaves out loading and warm-up.
    """
    config, classes = job.config, job.plan.class_shards[shard]
    device = find_device(config.compute.device)
    torch.set_num_threads(config.threads)
    start = time.perf_counter()
    diffusion, clip = open_diffusion(config, device), open_clip_model(config)
    loaded = time.perf_counter()
    batches = cut_batches(_request(job, shard, images).images, config.images.batch_size)
    first = {batch.guidance_scale: batch for batch in reversed(batches)}.values()
    for batch in first:
        generate_batch(diffusion, config, batch, diffusion.encode(unique_prompts([batch])))
    warm = time.perf_counter()
    seconds_an_image = (warm - loaded) / sum(batch.size for batch in first)
    full = min(TIMED_BATCHES * config.images.batch_size, int(TIMED_SECONDS / seconds_an_image), job.plan.part_images)
    total, done = max(images, full), 0
    request = _request(job, shard, total)
    batches = cut_batches(request.images, config.images.batch_size)

    def progress(good: int, rejected: int) -> None:
        nonlocal done
        done += good
        job.report(Progress("preview", f"preview-{shard:03d}", done, total, "image"))

    now = image_versions(device) | levers_of(config.images)
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
        maker.make(request)
    finally:
        maker.close()
    seconds = time.perf_counter() - warm
    manifest = _manifest(job, shard)
    timing = {
        "of": images_digest(config, job.plan.models, config.compute.pool or job.plan.pool),
        "rate": round(sum(batch.size for batch in batches) / seconds, 3),  # padding counts: whole parts hardly have any
        "device": now["device"],
        "bytes_per_image": round(manifest.bytes / max(1, len(manifest.key))),
        "batch_size": manifest.batch_size,
        "images": total,
        "rejected": len(manifest.rejects),
        "seconds": round(seconds, 3),
        "load_seconds": round(loaded - start, 3),
        "warm_up_seconds": round(warm - loaded, 3),
    }
    return PreviewedShard(timing, [load_prompts(job.store, job.run, class_id).prompts for class_id in classes])


def list_images(classes: list[str], images: int) -> list[tuple[str, int]]:
    """List (class id, index) of the images of a preview, class by class in turn."""
    return [(classes[n % len(classes)], n // len(classes)) for n in range(images)]


def _request(job: Job, shard: int, images: int) -> PartRequest:
    part = Part(1, shard, 0, tuple(list_images(job.plan.class_shards[shard], images)))
    return request_part(job.store, job.run, job.config, job.plan, part)


def _manifest(job: Job, shard: int) -> Manifest:
    return Manifest.model_validate_json(job.store.get(layout.synthetic_manifest(job.run, 1, shard, 0)))


def draw_rows(job: Job, real: int, images: list[int]) -> list[SheetRow]:
    """Draw the contact sheet's rows: of each class its first real images, and the synthetic ones of the preview.

    images: of each class shard, as `make_images` was asked for.
    """
    photos = _read_real_images(job, real)
    rows: dict[str, list[SheetRow]] = {}
    for shard, classes in enumerate(job.plan.class_shards):
        manifest, wanted = _manifest(job, shard), {key_of(*image) for image in list_images(classes, images[shard])}
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
            lines = cut_chunks(pictures, COLUMNS) or [[]]
            rows[class_id] = [
                SheetRow(class_id if n == 0 else "", photos[class_id] if n == 0 else [], line)
                for n, line in enumerate(lines)
            ]
    return [row for class_id in job.plan.real_counts if class_id in rows for row in rows[class_id]]


def _read_real_images(job: Job, count: int) -> dict[str, list[Image.Image]]:
    labels = {job.plan.labels[class_id]: class_id for classes in job.plan.class_shards for class_id in classes}
    found: dict[str, list[Image.Image]] = {class_id: [] for class_id in labels.values()}
    for table in real_pool(job.store, job.config, job.plan.classes):
        for row, label in enumerate(table.label):
            if label in labels and len(found[labels[label]]) < count:
                found[labels[label]].append(read_rgb(job.store, table, row))
        if all(len(images) >= count for images in found.values()):
            break
    return found
