"""The real images that senses are compared with, as CLIP embeddings: a class's own, and a panel of all classes."""

import heapq
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from PIL import Image
from torch import Tensor

from synaug.backends.protocols import CLIP
from synaug.config import Config
from synaug.data.images import read_rgb
from synaug.data.manifest import TarTable
from synaug.data.pools import real_pool
from synaug.data.seeding import derive
from synaug.data.store import Store
from synaug.run.plan import Plan

PANEL = 16  # times sense_images: enough that hundreds of classes represent "other classes"
READERS = 16  # threads


@dataclass(frozen=True)
class DrawnImage:
    """An image that was drawn, and where it is. Images are ranked by `draw`, then by their keys."""

    draw: int
    key: str
    table: TarTable
    row: int

    @property
    def rank(self) -> tuple[int, str]:
        return self.draw, self.key


@dataclass(frozen=True)
class ReferenceEmbeddings:
    """Unit embeddings, (n, d), of images of a class and of other classes."""

    own: Tensor
    others: Tensor


class ReferenceImages:
    """Seeded by run and image, so that no class depends on its shard. Nothing is read before it is asked for."""

    def __init__(self, store: Store, config: Config, plan: Plan, clip: CLIP):
        self.store, self.config, self.plan, self.clip = store, config, plan, clip

    def embed(self, class_id: str) -> ReferenceEmbeddings:
        """Embed up to `sense_images` images of the class, and the panel without the class's images.

        Raises DataError for an image that cannot be read.
        """
        label = self.plan.labels[class_id]
        labels, embedded = self._panel
        others = embedded[[n for n, other in enumerate(labels) if other != label]]
        return ReferenceEmbeddings(own=self._embed(self._drawn[label]), others=others)

    @cached_property
    def _drawn(self) -> dict[int, list[DrawnImage]]:
        """`sense_images` images of each label, the first drawn first."""
        found: dict[int, list[DrawnImage]] = defaultdict(list)
        for table in real_pool(self.store, self.config, self.plan.classes):
            for row, (key, label) in enumerate(zip(table.key, table.label, strict=True)):
                found[label].append(DrawnImage(derive("sense-images", self.config.seed, key), key, table, row))
        most = self.config.prompts.sense_images
        return {label: heapq.nsmallest(most, images, key=lambda image: image.rank) for label, images in found.items()}

    @cached_property
    def _panel(self) -> tuple[list[int], Tensor]:
        """Labels and embeddings of one image of each class, then a second of each, and so on.

        Up to PANEL * sense_images.
        """
        nth = [(n, image, label) for label, images in self._drawn.items() for n, image in enumerate(images)]
        nth.sort(key=lambda each: (each[0], each[1].draw, each[2]))
        nth = nth[: PANEL * self.config.prompts.sense_images]
        return [label for _, _, label in nth], self._embed([image for _, image, _ in nth])

    def _embed(self, images: list[DrawnImage]) -> Tensor:
        with ThreadPoolExecutor(READERS) as readers:
            return self.clip.embed_images(list(readers.map(self._read, images)))

    def _read(self, image: DrawnImage) -> Image.Image:
        return read_rgb(self.store, image.table, image.row)
