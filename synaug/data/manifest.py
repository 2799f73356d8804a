"""The tables beside tars: which sample is where. A synthetic part's manifest is published after its tar."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import starmap

from pydantic import Field

from synaug.config.settings import FrozenModel


@dataclass(frozen=True, slots=True)
class TarRow:
    """One sample of a TarTable; its columns' descriptions hold."""

    key: str
    label: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ManifestRow(TarRow):
    """One image of a Manifest; its columns' descriptions hold."""

    class_id: str
    kind: str
    clip_score: float
    attempt: int


class TarTable(FrozenModel):
    """One tar and its samples, in the order of the tar; columns are equally long."""

    tar: str = Field(description="Key in the store, or the URL of a tar that is referenced")
    sha256: str = Field(description="Hex digest of the tar")
    bytes: int
    key: list[str]
    label: list[int] = Field(
        description="Position of the class in the run's or split's class list; -1: in no class of it"
    )
    offset: list[int] = Field(description="First byte of the image in the tar")
    length: list[int] = Field(description="Bytes of the image")

    def rows(self) -> Iterator[TarRow]:
        """Iterate over the samples. A loop over millions that needs one or two columns is faster over those."""
        return starmap(TarRow, zip(self.key, self.label, self.offset, self.length, strict=True))

    def select(self, rows: Iterable[int]) -> "TarTable":
        """Take some rows, in the given order, as a plain TarTable without the columns that only a Manifest has."""
        numbers = list(rows)
        return TarTable(
            tar=self.tar,
            sha256=self.sha256,
            bytes=self.bytes,
            key=[self.key[n] for n in numbers],
            label=[self.label[n] for n in numbers],
            offset=[self.offset[n] for n in numbers],
            length=[self.length[n] for n in numbers],
        )


class Reject(FrozenModel):
    """An attempt at an image that was thrown away."""

    key: str
    attempt: int
    reason: str = Field(description="not finite, black, or flagged")


class Manifest(TarTable):
    """A published part."""

    class_id: list[str]
    kind: list[str] = Field(description="Prompt kind: plain, cd or sd")
    clip_score: list[float] = Field(description="Cosine of image and prompt, rounded to 4 digits")
    attempt: list[int]
    rejects: list[Reject] = Field(default_factory=list, description="Every attempt that was thrown away")
    lost: list[str] = Field(default_factory=list, description="Keys given up after max_attempts")
    truncated_prompts: int = 0
    batch_size: int = Field(description="As used; half the configured one after running out of memory")
    threads: int
    prompts_sha256: dict[str, str] = Field(description="Digest of each class's prompts file")
    model: str = Field(description="name@revision of the diffusion model")
    versions: dict[str, str]

    def rows(self) -> Iterator[ManifestRow]:
        """Iterate over the images, in the order of the tar."""
        places = (self.key, self.label, self.offset, self.length)
        facts = (self.class_id, self.kind, self.clip_score, self.attempt)
        return starmap(ManifestRow, zip(*places, *facts, strict=True))


class RealSplit(FrozenModel):
    """real/{split}.json: the tars of a split; their TarTables lie at layout.real_entry(split, n)."""

    classes: list[str] | None = Field(description="Class ids by label; null: labels are those of the run's class list")
    tars: int
    samples: int
    per_label: dict[int, int]
    source: str = Field(
        "", description="SHA-256 over all that it was made from; an import of something else under its name is refused"
    )
