"""index.json: the data set that a run made, part by part, and what was left out of it."""

from pydantic import Field

from synaug.config.settings import FrozenModel
from synaug.data import layout
from synaug.run.job import Job


class IndexedPart(FrozenModel):
    multiple: int
    shard: int
    part: int
    manifest: str = Field(description="Key")
    manifest_sha256: str
    tar: str = Field(description="Key")
    sha256: str = Field(description="Of the tar; verified when the part was first indexed")
    bytes: int
    images: int
    kept: int = Field(description="Images left by min_clip_score")


class Index(FrozenModel):
    run: str
    digest: str = Field(description="Of the plan")
    scale: int = Field(description="x1 ... x{scale} are complete")
    min_clip_score: float | None
    parts: list[IndexedPart]
    images: dict[str, dict[str, dict[str, int]]] = Field(
        description="Kept images by multiple, class id and prompt kind"
    )
    left_out: dict[str, dict[str, int]] = Field(description="Images below min_clip_score by class id and prompt kind")
    rejects: dict[str, int] = Field(description="Attempts thrown away, by reason")
    lost: list[str] = Field(description="Keys given up after max_attempts; no image has them")
    truncated_prompts: int
    prompts: dict[str, dict[str, int]] = Field(
        description="By class id, the digests of the prompts files used and the images made with each"
    )
    model: list[str] = Field(
        description="name@revision of the diffusion models; more than one only after a hand-made mix"
    )
    batch_sizes: list[int]

    def keeps(self, clip_score: float) -> bool:
        return self.min_clip_score is None or clip_score >= self.min_clip_score


def drop_from_index(job: Job, manifests: set[str]) -> None:
    """Before parts are made again: takes them out of the index, which then does not stand; what it knows of the others stays."""
    key = layout.index(job.run)
    if not job.store.exists(key):
        return
    index = Index.model_validate_json(job.store.get(key))
    kept = [part for part in index.parts if part.manifest not in manifests]
    if len(kept) < len(index.parts):
        job.store.put(key, index.model_copy(update={"parts": kept}).model_dump_json(indent=1).encode())
