"""Builds the prompts file of a class: senses, pools, plain prompts; never a function of its shard or its neighbours."""

import threading

from PIL.Image import Image
from torch import Tensor

from synaug.backends.protocols import CLIP, LLM
from synaug.config import Config
from synaug.data.classes import ClassEntry
from synaug.data.store import Store
from synaug.prompts.attributes import make_pools
from synaug.prompts.compose import plain_prompts
from synaug.prompts.reference_images import ReferenceImages
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, Sense
from synaug.prompts.senses import SenseChoice, choose_sense, list_senses
from synaug.prompts.strategy import choose_strategy
from synaug.run.plan import Plan


class OneAtATime:
    """A CLIP for many threads: they wait for the LLM together, and for CLIP one after another."""

    def __init__(self, clip: CLIP):
        self.clip, self.info, self.lock = clip, clip.info, threading.Lock()

    def embed_texts(self, texts: list[str]) -> Tensor:
        with self.lock:
            return self.clip.embed_texts(texts)

    def embed_images(self, images: list[Image]) -> Tensor:
        with self.lock:
            return self.clip.embed_images(images)


class ClassPromptsBuilder:
    """Holds the models and the real images' embeddings for many classes."""

    def __init__(self, store: Store, config: Config, plan: Plan, llm: LLM, clip: CLIP):
        self.config, self.plan, self.llm = config, plan, llm
        self.entries = {entry.id: entry for entry in plan.classes}
        self.clip = OneAtATime(clip)
        self.images, self.lock = ReferenceImages(store, config, plan, self.clip), threading.Lock()

    def build(self, class_id: str) -> ClassPrompts:
        """Build the prompts file of one class; thread-safe where the LLM is.

        Raises DataError for a real image that cannot be read.
        """
        entry = self.entries[class_id]
        choice = self._choose_sense(entry)
        others = tuple(
            other.name  # the first: a synonym like lighter's `light` names much else
            for other in self.plan.classes
            if other.id != class_id and other.name not in entry.names
        )
        pools = make_pools(self.llm, self.clip, entry, self.config, definition=choice.chosen, other_names=others)
        fallback = list(choice.fallback)
        if empty := [attribute for attribute in ATTRIBUTES if not pools.values[attribute]]:
            fallback.append(f"the LLM gave no usable {', '.join(empty)}")
        return ClassPrompts(
            class_id=class_id,
            name=entry.name,
            senses=choice.senses,
            chosen=choice.chosen,
            margin=choice.margin,
            flagged=choice.flagged,
            fallback=fallback,
            pools=pools.values,
            refused=pools.refused,
            plain=plain_prompts(self.config, name=entry.name, chosen=choice.chosen, own=entry.prompts),
            made_by={
                "llm": f"{self.llm.info.name}@{self.llm.info.revision}",
                "clip": f"{self.clip.info.name}@{self.clip.info.revision}",
                "asked": str(choose_strategy(self.llm.capabilities, self.config.prompts.llm.output)),
            },
        )

    def _choose_sense(self, entry: ClassEntry) -> SenseChoice:
        if entry.gloss:
            return SenseChoice(senses=[Sense(sense=entry.name, definition=entry.gloss)], chosen=entry.gloss)
        if not self.config.prompts.senses:
            return SenseChoice(senses=[Sense(sense=entry.name)])
        listed = list_senses(self.llm, entry, self.config)
        with self.lock:
            images = self.images.embed(entry.id)
        return choose_sense(self.clip, entry, listed, images.own, images.others, self.config)
