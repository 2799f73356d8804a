"""A stored image, and the same image made again from what was stored with it."""

import json
from dataclasses import dataclass, replace

from synaug.backends.profiles import sampling
from synaug.backends.protocols import Diffusion
from synaug.config import Config
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.seeding import parse_key
from synaug.data.webdataset import read_members, read_sample
from synaug.errors import DataError, UsageError
from synaug.generation.batching import GenerationBatch, ImageRequest, batches, windows
from synaug.generation.part import generate, texts_of
from synaug.prompts.compose import compose, load_prompts
from synaug.prompts.schema import Prompt
from synaug.run import quotas
from synaug.run.job import Job
from synaug.run.plan import Plan
from synaug.run.quotas import Part


@dataclass(frozen=True)
class Stored:
    key: str
    part: Part
    manifest: Manifest
    jpeg: bytes
    metadata: dict

    def planned(self, label: int) -> ImageRequest:
        return planned(self.metadata, label)


def planned(metadata: dict, label: int) -> ImageRequest:
    """What a sample was made from, as its metadata says."""
    prompt = Prompt(text=metadata["prompt"], kind=metadata["kind"], attributes=metadata["attributes"])
    sampled = {name: metadata[name] for name in ("class_id", "index", "guidance_scale", "sense", "attempt")}
    return ImageRequest(label=label, prompt=prompt, **sampled)


def find_part(config: Config, plan: Plan, key: str) -> Part:
    """The part that holds an image. Raises UsageError, naming what there is, for a key outside the run."""
    class_id, index = parse_key(key)
    if class_id not in plan.real_counts:
        some = ", ".join(list(plan.real_counts)[:3])
        raise UsageError(
            f"{key!r}: the run has no class {class_id!r}; its {len(plan.real_counts)} classes begin with {some}"
        )
    count = quotas.quotas(plan.real_counts, config.counts, plan.scale)[class_id]
    if index >= count:
        there = f"{class_id}-0000000 to {class_id}-{count - 1:07d}" if count else "none"
        raise UsageError(f"{key!r}: at {plan.scale}x the run's images of {class_id} are {there}; give one of them")
    shard = next(n for n, classes in enumerate(plan.class_shards) if class_id in classes)
    found = (p for m in range(1, plan.scale + 1) for p in plan.parts(config, shard, m) if (class_id, index) in p.images)
    return next(found)


def find(job: Job, key: str) -> Stored:
    """A stored image of the run. Raises UsageError for a key outside it, DataError for an image that is not made, or was given up."""
    part = find_part(job.config, job.plan, key)
    name = layout.synthetic_manifest(job.run, part.multiple, part.shard, part.number)
    if not job.store.exists(name):
        raise DataError(
            f"{key} is not made yet; `synaug images --store {job.store.url} --run {job.run} --shard {part.shard}` makes it"
        )
    manifest = Manifest.model_validate_json(job.store.get(name))
    if key in manifest.lost:
        reasons = ", ".join(reject.reason for reject in manifest.rejects if reject.key == key)
        raise DataError(f"{key} was given up after {job.config.images.max_attempts} attempts: {reasons}")
    files = read_sample(job.store, manifest, manifest.key.index(key))
    return Stored(key, part, manifest, files["jpg"], json.loads(files["json"]))


def batch_of(job: Job, stored: Stored) -> tuple[GenerationBatch, list[GenerationBatch]]:
    """The batch that a stored image was generated in, and the window of batches whose prompts were encoded with it.

    Raises DataError when it held an image that was given up and whose prompts file was edited since.
    """
    images = _attempted(job, stored)
    todo = batches(images, stored.manifest.batch_size)
    window = next(w for w in windows(todo) if any(image.key == stored.key for batch in w for image in batch.images))
    return next(batch for batch in window if any(image.key == stored.key for image in batch.images)), window


def _attempted(job: Job, stored: Stored) -> list[ImageRequest]:
    """All images of the part that were tried in the stored image's attempt, in order."""
    attempt, labels = stored.metadata["attempt"], job.plan.labels
    members = read_members(job.store.get(stored.manifest.tar))
    made = {
        key: planned(json.loads(members[f"{key}.json"]), stored.manifest.label[n])
        for n, key in enumerate(stored.manifest.key)
    }
    lost = {key: _lost(job, stored.manifest, key, labels) for key in stored.manifest.lost}
    every = {image.key: image for image in (made | lost).values()}
    if attempt == 0:
        order = [
            ImageRequest(class_id, index, 0, Prompt(text="", kind="plain"), 0.0).key
            for class_id, index in stored.part.images
        ]
    else:
        order = [reject.key for reject in stored.manifest.rejects if reject.attempt == attempt - 1]
    return [replace(every[key], attempt=attempt) for key in order]


def _lost(job: Job, manifest: Manifest, key: str, labels: dict[str, int]) -> ImageRequest:
    class_id, index = parse_key(key)
    prompts, digest = load_prompts(job.store, job.run, class_id)
    if digest != manifest.prompts_sha256[class_id]:
        edited = layout.prompts(job.run, class_id)
        raise DataError(
            f"{key} of the batch was given up and {edited} was edited since: its prompt is gone; show without --exact"
        )
    prompt = compose(job.config, job.plan, prompts, index)
    return ImageRequest(
        class_id, index, labels[class_id], prompt, sampling(job.config.images).guidance_of(prompt.kind), prompts.chosen
    )


def make_alone(diffusion: Diffusion, config: Config, image: ImageRequest):
    """Pixels (3, H, W) of one image, generated in a batch of its own."""
    batch = GenerationBatch((image,), 1)
    return generate(diffusion, config, batch, diffusion.encode(texts_of([batch]))).pixels[0]


def make_exactly(diffusion: Diffusion, config: Config, batch: GenerationBatch, window: list[GenerationBatch], key: str):
    """Pixels (3, H, W) of one image, its whole batch generated as it was."""
    row = next(n for n, image in enumerate(batch.images) if image.key == key)
    return generate(diffusion, config, batch, diffusion.encode(texts_of(window))).pixels[row]
