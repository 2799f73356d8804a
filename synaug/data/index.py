"""index.json: the data set that a run made, part by part, and what was left out of it."""

import hashlib

from pydantic import Field

from synaug.config.settings import FrozenModel
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.store import Store
from synaug.errors import DataError


class IndexedPart(FrozenModel):
    """One tar of a run's synthetic images."""

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
    """The data set of a run, as its index stage found it."""

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
        """Say whether an image with this score counts as the set."""
        return self.min_clip_score is None or clip_score >= self.min_clip_score


def load_index(store: Store, run: str) -> Index:
    """Load the index of a run. Raises DataError where there is none yet."""
    if not store.exists(layout.index(run)):
        raise DataError(f"{run} has no index yet; run `python -m synaug index --store {store.url} --run {run}`")
    return Index.model_validate_json(store.get(layout.index(run)))


def load_manifest(store: Store, key: str, sha256: str) -> Manifest:
    """Load a manifest as it was indexed. Raises DataError when it changed."""
    data = store.get(key)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{store.url}/{key} changed after it was indexed; run the index stage again")
    return Manifest.model_validate_json(data)


def drop_from_index(store: Store, run: str, manifests: set[str]) -> None:
    """Take parts out of the index before they are made again.

    The index is incomplete then, and keeps what it knows of the others. manifests: keys of the parts' manifests.
    Nothing happens where the run has no index.
    """
    key = layout.index(run)
    if not store.exists(key):
        return
    index = Index.model_validate_json(store.get(key))
    kept = [part for part in index.parts if part.manifest not in manifests]
    if len(kept) < len(index.parts):
        store.put(key, index.model_copy(update={"parts": kept}).model_dump_json(indent=1).encode())
