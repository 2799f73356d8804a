"""Makes the prompts file of a class: senses, pools, plain prompts. Depends on the class alone, never on its shard or its neighbours."""

from synaug.backends.protocols import CLIP, LLM
from synaug.config import Config
from synaug.data.store import Store
from synaug.prompts.attributes import make_pools
from synaug.prompts.compose import plain_prompts
from synaug.prompts.reference_images import SenseImages
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, Sense
from synaug.prompts.senses import SenseChoice, candidates, choose
from synaug.run.plan import Plan


class ClassPromptsBuilder:
    """Holds the models and the real images' embeddings for many classes."""

    def __init__(self, store: Store, config: Config, plan: Plan, llm: LLM, clip: CLIP):
        self.config, self.plan, self.llm, self.clip = config, plan, llm, clip
        self.entries = {entry.id: entry for entry in plan.classes}
        self.images = SenseImages(store, config, plan, clip)

    def make(self, class_id: str) -> ClassPrompts:
        entry = self.entries[class_id]
        choice = self._sense(entry)
        others = tuple(
            name
            for other in self.plan.classes
            if other.id != class_id
            for name in other.names
            if name not in entry.names
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
            },
        )

    def _sense(self, entry) -> SenseChoice:
        if entry.gloss:
            return SenseChoice([Sense(sense=entry.name, definition=entry.gloss)], entry.gloss, None, False, [])
        if not self.config.prompts.senses:
            return SenseChoice([Sense(sense=entry.name)], "", None, False, [])
        listed = candidates(self.llm, entry, self.config)
        return choose(self.clip, entry, listed, *self.images.of(entry.id), self.config)
