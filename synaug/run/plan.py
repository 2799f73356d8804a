"""plan.json: what the first plan froze, and what the latest one estimates."""

from typing import Any

from pydantic import Field

from synaug.config.settings import FrozenModel
from synaug.data.classes import ClassEntry
from synaug.run import quotas


class ModelInfo(FrozenModel):
    """A model that a run uses, resolved."""

    role: str = Field(description="llm, clip or diffusion")
    name: str
    revision: str = Field(description="Commit, version or digest; never a branch")
    license: str
    restricted: bool = False


class Plan(FrozenModel):
    digest: str = Field(description="SHA-256 over the identity fields, classes and counts")
    classes: list[ClassEntry]
    real_counts: dict[str, int] = Field(description="Real training images used of each class id, in label order")
    class_shards: list[list[str]] = Field(description="Class ids of each shard")
    part_images: int
    models: list[ModelInfo]
    styles: list[str]
    scale: int = Field(description="Of the latest plan; growable")
    pool: str | None = Field(None, description="GPU pool that the images are made on, once a plan named one")
    estimate: dict[str, Any]
    versions: dict[str, str]

    def parts(self, config, shard: int, multiple: int) -> list[quotas.Part]:
        return quotas.parts(
            self.real_counts,
            config.counts,
            self.class_shards[shard],
            multiple=multiple,
            shard=shard,
            part_images=self.part_images,
            seed=config.seed,
        )

    @property
    def labels(self) -> dict[str, int]:
        return {entry.id: n for n, entry in enumerate(self.classes)}
