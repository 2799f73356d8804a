"""How many synthetic images each class has at each scale, and how they are cut into parts."""

from dataclasses import dataclass
from random import Random


def proportional(real: dict[str, int], scale: int) -> dict[str, int]:
    """Give each class `scale` synthetic images for each real one."""
    return {class_id: scale * count for class_id, count in real.items()}


def balanced(real: dict[str, int], scale: int) -> dict[str, int]:
    """Raise the smallest classes to a common level first, scale * N images in all. Monotone in scale.

    What does not divide goes to the first classes at the level, in the order of `real`.
    """
    budget = scale * sum(real.values())
    order = sorted(real, key=lambda c: real[c])
    level = below = 0
    for below in range(1, len(order) + 1):
        filled = sum(real[c] for c in order[:below])
        level = (budget + filled) // below
        if below == len(order) or level < real[order[below]]:
            break
    quota = {c: max(0, level - real[c]) if c in set(order[:below]) else 0 for c in real}
    rest = budget - sum(quota.values())
    for class_id in [c for c in real if c in set(order[:below])][:rest]:
        quota[class_id] += 1
    return quota


def quotas(real: dict[str, int], counts: str, scale: int) -> dict[str, int]:
    """Count the synthetic images of each class at `scale`: {class_id: images}. counts: proportional | balanced."""
    return (proportional if counts == "proportional" else balanced)(real, scale) if scale else dict.fromkeys(real, 0)


@dataclass(frozen=True)
class Part:
    """One tar of a multiple: its images in order, the classes interleaved."""

    multiple: int
    shard: int
    number: int
    images: tuple[tuple[str, int], ...]  # (class_id, index)


def parts(
    real: dict[str, int],
    counts: str,
    shard_classes: list[str],
    *,
    multiple: int,
    shard: int,
    part_images: int,
    seed: int,
) -> list[Part]:
    """List the parts of one class shard in x{multiple}: the indices between the quotas of multiple - 1 and multiple.

    Interleaved by a seeded shuffle, so that every part holds about every class of the shard.
    """
    below, upto = quotas(real, counts, multiple - 1), quotas(real, counts, multiple)
    images = [(c, i) for c in shard_classes for i in range(below[c], upto[c])]
    Random(f"parts/{seed}/{multiple}/{shard}").shuffle(images)
    return [
        Part(multiple, shard, n, tuple(images[start : start + part_images]))
        for n, start in enumerate(range(0, len(images), part_images))
    ]
