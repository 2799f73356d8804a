"""What a run will take, before anything is spent. What nobody measured is None and printed as unmeasured, never guessed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from math import ceil

from synaug.config import Config
from synaug.data import layout
from synaug.data.store import Store
from synaug.run import quotas
from synaug.run.plan import ModelInfo, Plan

MOST_SHARDS = 500  # hundreds of pods, many classes a pod: what a cluster's control plane carries well
PART_SECONDS = 600  # the most work that a kill can cost
UNMEASURED_RATE = 1.0  # images/s that shards and parts are cut by where no rate is known; never shown as an estimate


@dataclass(frozen=True)
class Rate:
    """images_per_second None: unmeasured. source: where the number comes from, for people."""

    images_per_second: float | None
    source: str
    bytes_per_image: float | None = None


def rate_of(config: Config, models: list[ModelInfo], pool: str | None) -> str:
    """Digest of what a measured rate holds for: the settings of the images, the diffusion model's revision and the GPU pool."""
    revision = [model.revision for model in models if model.role == "diffusion"]
    return hashlib.sha256(
        json.dumps([config.images.model_dump(mode="json"), revision, pool], sort_keys=True).encode()
    ).hexdigest()


def known_rate(store: Store, run: str, config: Config, plan: Plan) -> Rate:
    """compute.rate, else what `synaug preview` measured of these very settings, model and pool."""
    key = layout.timing(run, "preview", "rate")
    measured = json.loads(store.get(key)) if store.exists(key) else {}
    outdated = bool(measured) and measured.get("of") != rate_of(config, plan.models, plan.pool)
    if outdated:
        measured = {}
    size = measured.get("bytes_per_image")
    if config.compute.rate:
        return Rate(config.compute.rate, "compute.rate", size)
    if measured:
        return Rate(measured["rate"], f"preview on {measured.get('device', 'an unnamed device')}", size)
    if outdated:
        return Rate(
            None,
            "unmeasured: the preview was of other images settings, another model or pool; `synaug preview` measures it again",
        )
    return Rate(None, "unmeasured: `synaug preview` measures it, or give compute.rate")


@dataclass(frozen=True)
class ShardLayout:
    """Class shards and part size. capped: the shards are longer than shard_hours because of the cap."""

    class_shards: list[list[str]]
    part_images: int
    capped: bool = False


def lay_out_shards(config: Config, real_counts: dict[str, int], rate: float | None) -> ShardLayout:
    """Classes to shards, balanced by their images at max_scale: the largest class first to the lightest shard."""
    images = quotas.quotas(real_counts, config.counts, config.max_scale)
    speed = rate or UNMEASURED_RATE
    wanted = config.class_shards or ceil(sum(images.values()) / (speed * 3600 * config.shard_hours))
    count = max(1, min(wanted, MOST_SHARDS, len(real_counts)))
    shards: list[list[str]] = [[] for _ in range(count)]
    load = [0] * count
    for class_id in sorted(images, key=lambda c: -images[c]):
        lightest = min(range(count), key=lambda n: (load[n], len(shards[n])))
        shards[lightest].append(class_id)
        load[lightest] += images[class_id]
    order = {class_id: n for n, class_id in enumerate(real_counts)}
    batch = config.images.batch_size
    part = config.images.part_images or max(1, min(20_000, round(speed * PART_SECONDS)) // batch) * batch
    return ShardLayout(
        [sorted(shard, key=order.__getitem__) for shard in shards],
        part,
        capped=wanted > MOST_SHARDS and count == MOST_SHARDS,
    )


@dataclass(frozen=True)
class ImagesEstimate:
    """Of the images up to a scale, and of what is left to make. Hours and cost are of what is left; None: unmeasured."""

    scale: int
    multiples: list[int]  # those with work left
    images: int
    images_left: int
    tars: int
    bytes: int | None
    rate: float | None
    rate_source: str
    gpus: int
    gpu_hours: float | None
    wall_hours: float | None
    longest_shard_hours: float | None
    price: float | None
    cost: float | None

    def as_dict(self) -> dict:
        return asdict(self)


def estimate(config: Config, plan: Plan, rate: Rate, published: set[str], run: str) -> ImagesEstimate:
    """published: keys of the manifests in the store."""
    images = tars = 0
    left_of_shard = [0] * len(plan.class_shards)
    multiples = []
    for multiple in range(1, plan.scale + 1):
        for shard in range(len(plan.class_shards)):
            for part in plan.parts(config, shard, multiple):
                images, tars = images + len(part.images), tars + 1
                if layout.synthetic_manifest(run, multiple, shard, part.number) not in published:
                    left_of_shard[shard] += len(part.images)
                    if multiple not in multiples:
                        multiples.append(multiple)
    left, gpus, price, speed = sum(left_of_shard), config.compute.gpus, config.compute.price, rate.images_per_second
    hours = left / speed / 3600 if speed else None
    longest = max(left_of_shard) / speed / 3600 if speed else None
    return ImagesEstimate(
        scale=plan.scale,
        multiples=multiples,
        images=images,
        images_left=left,
        tars=tars,
        bytes=round(images * rate.bytes_per_image) if rate.bytes_per_image else None,
        rate=speed,
        rate_source=rate.source,
        gpus=gpus,
        gpu_hours=hours,
        wall_hours=max(hours / gpus, longest) if hours is not None else None,
        longest_shard_hours=longest,
        price=price,
        cost=hours * price if hours is not None and price is not None else None,
    )
