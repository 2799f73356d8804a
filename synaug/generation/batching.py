"""Which images are generated together: a pure function of the part, the attempt and the batch size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from synaug.config import Config
from synaug.data.seeding import image_seed, key_of
from synaug.prompts.schema import Prompt

Item = TypeVar("Item")
WINDOW = 4  # batches whose prompts are embedded together


@dataclass(frozen=True)
class ImageRequest:
    """One image to make."""

    class_id: str
    index: int
    label: int
    prompt: Prompt
    guidance_scale: float
    sense: str = ""  # the definition that its prompts file chose
    attempt: int = 0

    @property
    def key(self) -> str:
        return key_of(self.class_id, self.index)

    def seed(self, config: Config) -> int:
        return image_seed(config.seed, self.class_id, self.index, self.attempt)


@dataclass(frozen=True)
class GenerationBatch:
    """`images`, all at one guidance scale.

    The last batch of a group is `padded` with its last image to the next quarter of the full size, so that few shapes
    occur; the padding's results are dropped.
    """

    images: tuple[ImageRequest, ...]
    full_size: int

    @property
    def size(self) -> int:
        """Images as generated: a quarter, half, three quarters or all of full_size, rounded up."""
        quarter = -(-self.full_size // 4)
        return min(self.full_size, quarter * -(-len(self.images) // quarter))

    @property
    def padded(self) -> tuple[ImageRequest, ...]:
        return self.images + (self.images[-1],) * (self.size - len(self.images))

    @property
    def guidance_scale(self) -> float:
        return self.images[0].guidance_scale


def cut_batches(images: Iterable[ImageRequest], size: int) -> list[GenerationBatch]:
    """Group images by guidance scale, in the order of first appearance, then cut each group into batches of `size`.

    Order within a group is kept. Unguided images (plain prompts of the embedded default) cost half of guided ones.
    """
    groups: dict[float, list[ImageRequest]] = {}
    for image in images:
        groups.setdefault(image.guidance_scale, []).append(image)
    return [GenerationBatch(tuple(chunk), size) for group in groups.values() for chunk in cut_chunks(group, size)]


def cut_windows(batches: list[GenerationBatch]) -> list[list[GenerationBatch]]:
    """Cut batches into windows whose prompts are embedded together: the first alone, then WINDOW by WINDOW.

    So the model starts at once.
    """
    return [batches[:1], *cut_chunks(batches[1:], WINDOW)]


def cut_chunks(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Cut a sequence into lists of `size`; the last one may be shorter."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def unique_prompts(batches: list[GenerationBatch]) -> list[str]:
    """List the different prompts of a window of batches, which are encoded together.

    A window is cut from the part, so equal parts give equal bits.
    """
    return list(dict.fromkeys(image.prompt.text for batch in batches for image in batch.images))
