"""The real images that senses are compared with, as CLIP embeddings: a class's own, and a panel of all classes that a run shares."""

import heapq
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from synaug.backends.protocols import CLIP
from synaug.config import Config
from synaug.data.images import read_rgb
from synaug.data.pools import real_pool
from synaug.data.seeding import derive
from synaug.data.store import Store
from synaug.run.plan import Plan

PANEL = 16  # times sense_images: enough that hundreds of classes stand for "other classes"
READERS = 16  # threads


class SenseImages:
    """Seeded by run and image, so that no class depends on its shard. Nothing is read before it is asked for."""

    def __init__(self, store: Store, config: Config, plan: Plan, clip: CLIP):
        self.store, self.config, self.plan, self.clip = store, config, plan, clip

    def of(self, class_id: str):
        """(own, others): unit embeddings (n, d). own: up to `sense_images` of the class; others: the panel without the class's images.

        Raises DataError for an image that cannot be read.
        """
        label = self.plan.labels[class_id]
        labels, embedded = self._panel
        return self._embed(self._drawn[label]), embedded[[n for n, other in enumerate(labels) if other != label]]

    @cached_property
    def _drawn(self) -> dict[int, list[tuple]]:
        """By label: the places (draw, key, table, row) of `sense_images` images."""
        places = defaultdict(list)
        for table in real_pool(self.store, self.config, self.plan.classes):
            for row, (key, label) in enumerate(zip(table.key, table.label, strict=True)):
                places[label].append((derive("sense-images", self.config.seed, key), key, table, row))
        most = self.config.prompts.sense_images
        return {label: heapq.nsmallest(most, found, key=lambda place: place[:2]) for label, found in places.items()}

    @cached_property
    def _panel(self):
        """(labels, embeddings) of one image of each class, then a second of each, and so on, up to PANEL * sense_images."""
        ranked = [
            (rank, place[0], label, place) for label, places in self._drawn.items() for rank, place in enumerate(places)
        ]
        ranked.sort(key=lambda item: item[:3])
        ranked = ranked[: PANEL * self.config.prompts.sense_images]
        return [label for _, _, label, _ in ranked], self._embed([place for *_, place in ranked])

    def _embed(self, places: list[tuple]):
        with ThreadPoolExecutor(READERS) as readers:
            return self.clip.embed_images(list(readers.map(self._image, places)))

    def _image(self, place: tuple):
        _, _, table, row = place
        return read_rgb(self.store, table, row)
