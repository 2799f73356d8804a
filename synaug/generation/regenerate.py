"""A stored image, and the same image made again from what was stored with it."""

import json
from dataclasses import dataclass, replace

from torch import Tensor

from synaug.backends.profiles import resolve_sampling
from synaug.backends.protocols import Diffusion
from synaug.config import Config
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.seeding import key_of, parse_key
from synaug.data.webdataset import read_members, read_sample
from synaug.errors import DataError, UsageError
from synaug.generation.batching import GenerationBatch, ImageRequest, cut_batches, cut_windows, unique_prompts
from synaug.generation.part import generate_batch
from synaug.prompts.compose import compose
from synaug.prompts.schema import Prompt, load_prompts
from synaug.run import quotas
from synaug.run.job import Job
from synaug.run.plan import Plan
from synaug.run.quotas import Part


@dataclass(frozen=True)
class StoredImage:
    """An image of a published part, with all that it was made from."""

    key: str
    part: Part
    manifest: Manifest
    jpeg: bytes
    metadata: dict

    def to_request(self, label: int) -> ImageRequest:
        """Ask for the same image again."""
        return read_request(self.metadata, label)


@dataclass(frozen=True)
class OriginalBatch:
    """The batch that a stored image was generated in, and the window of batches whose prompts were encoded with it."""

    batch: GenerationBatch
    window: list[GenerationBatch]


def read_request(metadata: dict, label: int) -> ImageRequest:
    """Read from an image's metadata what it was made from."""
    prompt = Prompt(text=metadata["prompt"], kind=metadata["kind"], attributes=metadata["attributes"])
    sampled = {name: metadata[name] for name in ("class_id", "index", "guidance_scale", "sense", "attempt")}
    return ImageRequest(label=label, prompt=prompt, **sampled)


def find_part(config: Config, plan: Plan, key: str) -> Part:
    """Find the part that holds an image. Raises UsageError, naming what there is, for a key outside the run."""
    class_id, index = parse_key(key)
    if class_id not in plan.real_counts:
        some = ", ".join(list(plan.real_counts)[:3])
        raise UsageError(
            f"{key!r}: the run has no class {class_id!r}; its {len(plan.real_counts)} classes begin with {some}"
        )
    count = quotas.quotas(plan.real_counts, config.counts, plan.scale)[class_id]
    if index >= count:
        known = f"{class_id}-0000000 to {class_id}-{count - 1:07d}" if count else "none"
        raise UsageError(f"{key!r}: at {plan.scale}x the run's images of {class_id} are {known}; give one of them")
    shard = next(n for n, classes in enumerate(plan.class_shards) if class_id in classes)
    parts = (part for multiple in range(1, plan.scale + 1) for part in plan.parts(config, shard, multiple))
    return next(part for part in parts if (class_id, index) in part.images)


def find_stored(job: Job, key: str) -> StoredImage:
    """Find a stored image of the run.

    Raises UsageError for a key outside it, DataError for an image that is not made, or was given up.
    """
    part = find_part(job.config, job.plan, key)
    name = layout.synthetic_manifest(job.run, part.multiple, part.shard, part.number)
    if not job.store.exists(name):
        raise DataError(
            f"{key} is not made yet; "
            f"`synaug images --store {job.store.url} --run {job.run} --shard {part.shard}` makes it"
        )
    manifest = Manifest.model_validate_json(job.store.get(name))
    if key in manifest.lost:
        reasons = ", ".join(reject.reason for reject in manifest.rejects if reject.key == key)
        raise DataError(f"{key} was given up after {job.config.images.max_attempts} attempts: {reasons}")
    files = read_sample(job.store, manifest, manifest.key.index(key))
    return StoredImage(key, part, manifest, files["jpg"], json.loads(files["json"]))


def rebuild_batch(job: Job, stored: StoredImage) -> OriginalBatch:
    """Rebuild the batch that a stored image was generated in.

    Raises DataError when it held an image that was given up and whose prompts file was edited since.
    """
    windows = cut_windows(cut_batches(_attempted(job, stored), stored.manifest.batch_size))
    originals = (OriginalBatch(batch, window) for window in windows for batch in window)
    return next(each for each in originals if any(image.key == stored.key for image in each.batch.images))


def _attempted(job: Job, stored: StoredImage) -> list[ImageRequest]:
    """All images of the part that were tried in the stored image's attempt, in order."""
    attempt, labels = stored.metadata["attempt"], job.plan.labels
    members = read_members(job.store.get(stored.manifest.tar))
    requests = {
        key: read_request(json.loads(members[f"{key}.json"]), stored.manifest.label[n])
        for n, key in enumerate(stored.manifest.key)
    }
    requests |= {key: _compose_lost(job, stored.manifest, key, labels) for key in stored.manifest.lost}
    if attempt == 0:
        order = [key_of(class_id, index) for class_id, index in stored.part.images]
    else:
        order = [reject.key for reject in stored.manifest.rejects if reject.attempt == attempt - 1]
    return [replace(requests[key], attempt=attempt) for key in order]


def _compose_lost(job: Job, manifest: Manifest, key: str, labels: dict[str, int]) -> ImageRequest:
    """What an image that was given up would be made from. Raises DataError where its prompts file was edited since."""
    class_id, index = parse_key(key)
    prompts, sha256 = load_prompts(job.store, job.run, class_id)
    if sha256 != manifest.prompts_sha256[class_id]:
        edited = layout.prompts(job.run, class_id)
        raise DataError(
            f"{key} of the batch was given up and {edited} was edited since: its prompt is gone; show without --exact"
        )
    prompt = compose(job.config, job.plan, prompts, index)
    guidance = resolve_sampling(job.config.images).guidance_of(prompt.kind)
    return ImageRequest(class_id, index, labels[class_id], prompt, guidance, prompts.chosen)


def generate_alone(diffusion: Diffusion, config: Config, image: ImageRequest) -> Tensor:
    """Generate one image in a batch of its own: pixels (3, H, W) uint8."""
    batch = GenerationBatch((image,), 1)
    return generate_batch(diffusion, config, batch, diffusion.encode(unique_prompts([batch]))).pixels[0]


def generate_exactly(diffusion: Diffusion, config: Config, original: OriginalBatch, key: str) -> Tensor:
    """Generate one image with its whole batch as it was: pixels (3, H, W) uint8."""
    row = next(n for n, image in enumerate(original.batch.images) if image.key == key)
    encoded = diffusion.encode(unique_prompts(original.window))
    return generate_batch(diffusion, config, original.batch, encoded).pixels[row]
