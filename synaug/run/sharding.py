"""How the classes of a run are laid out over class shards, and how large a part is."""

from dataclasses import dataclass
from math import ceil

from synaug.config import Config
from synaug.run import quotas

MOST_SHARDS = 500  # hundreds of pods, many classes a pod: what a cluster's control plane carries well
SHARDS_PER_GPU = 4  # at least, where several work: the last one to end leaves the others idle for a quarter of a share
PART_SECONDS = 600  # the most work that a kill can cost
UNMEASURED_RATE = 1.0  # images/s that shards and parts are cut by where no rate is known; never shown as an estimate


@dataclass(frozen=True)
class ShardLayout:
    """Class shards and part size. capped: the shards are longer than shard_hours because of the cap."""

    class_shards: list[list[str]]
    part_images: int
    capped: bool = False


def lay_out_shards(config: Config, real_counts: dict[str, int], rate: float | None) -> ShardLayout:
    """Distribute classes to shards, balanced by their images at max_scale.

    The largest class goes first, to the lightest shard. rate: images a second of one GPU; None: unmeasured.
    """
    images = quotas.quotas(real_counts, config.counts, config.max_scale)
    speed = rate or UNMEASURED_RATE
    wanted = config.class_shards or ceil(sum(images.values()) / (speed * 3600 * config.shard_hours))
    if config.class_shards is None and config.compute.gpus > 1:
        wanted = max(wanted, SHARDS_PER_GPU * config.compute.gpus)
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
