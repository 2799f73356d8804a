"""The tables beside tars: which sample lies where. A synthetic part's manifest is published after its tar."""

from pydantic import Field

from synaug.config.settings import FrozenModel


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


class Reject(FrozenModel):
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


class RealSplit(FrozenModel):
    """real/{split}.json: the tars of a split; their TarTables lie at layout.real_entry(split, n)."""

    classes: list[str] | None = Field(description="Class ids by label; null: labels are those of the run's class list")
    tars: int
    samples: int
    per_label: dict[int, int]
    source: str = Field(
        "", description="SHA-256 over all that it was made from; an import of something else under its name is refused"
    )
