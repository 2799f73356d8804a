"""Makes the prompts file of a class: senses, pools, plain prompts. Depends on the class alone, never on its shard or its neighbours."""

import io

from synaug.attributes import make_pools
from synaug.backends.protocols import CLIP, LLM
from synaug.compose import plain_prompts
from synaug.config import Config
from synaug.frozen import Plan
from synaug.identity import draws
from synaug.manifest import TarTable
from synaug.pools import real_pool
from synaug.prompts_file import ATTRIBUTES, ClassPrompts, Sense
from synaug.senses import Choice, candidates, choose
from synaug.store import Store, locate


class Maker:
    """Holds the models and the real images' tables for many classes."""

    def __init__(self, store: Store, config: Config, plan: Plan, llm: LLM, clip: CLIP):
        self.store, self.config, self.plan, self.llm, self.clip = store, config, plan, llm, clip
        self.entries = {entry.id: entry for entry in plan.classes}
        self.tables = real_pool(store, config, plan) if config.prompts.senses else []

    def make(self, class_id: str) -> ClassPrompts:
        entry = self.entries[class_id]
        choice = self._sense(entry)
        others = tuple(name for other in self.plan.classes if other.id != class_id for name in other.names if name not in entry.names)
        pools = make_pools(self.llm, self.clip, entry, self.config, definition=choice.chosen, other_names=others)
        fallback = list(choice.fallback)
        if empty := [attribute for attribute in ATTRIBUTES if not pools.values[attribute]]:
            fallback.append(f"the LLM gave no usable {', '.join(empty)}")
        return ClassPrompts(
            class_id=class_id, name=entry.name, senses=choice.senses, chosen=choice.chosen, margin=choice.margin, flagged=choice.flagged,
            fallback=fallback, pools=pools.values, refused=pools.refused,
            plain=plain_prompts(self.config, name=entry.name, chosen=choice.chosen, own=entry.prompts),
            made_by={"llm": f"{self.llm.info.name}@{self.llm.info.revision}", "clip": f"{self.clip.info.name}@{self.clip.info.revision}"},
        )  # fmt: skip

    def _sense(self, entry) -> Choice:
        if entry.gloss:
            return Choice([Sense(sense=entry.name, definition=entry.gloss)], entry.gloss, None, False, [])
        if not self.config.prompts.senses:
            return Choice([Sense(sense=entry.name)], "", None, False, [])
        listed = candidates(self.llm, entry, self.config)
        label = self.plan.labels[entry.id]
        own = self._embedded(entry.id, lambda other: other == label)
        rest = self._embedded(entry.id, lambda other: other != label)
        return choose(self.clip, entry, listed, own, rest, self.config)

    def _embedded(self, class_id: str, wanted):
        """CLIP embeddings of `sense_images` seeded images whose label is wanted."""
        rows = [(t, n) for t, table in enumerate(self.tables) for n, label in enumerate(table.label) if wanted(label)]
        count = min(len(rows), self.config.prompts.sense_images)
        picked = draws("sense-images", self.config.seed, class_id, count).sample(rows, count)
        return self.clip.embed_images([self._image(self.tables[t], n) for t, n in picked])

    def _image(self, table: TarTable, row: int):
        from PIL import Image

        store, key = locate(self.store, table.tar)
        return Image.open(io.BytesIO(store.get(key, start=table.offset[row], length=table.length[row])))
