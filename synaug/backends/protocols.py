"""What a model backend offers. Torch tensors live on the backend's device; texts and PIL images go in.

Torch and PIL are named for type checkers only, and not imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from synaug.run.plan import ModelInfo
from synaug.run.tokens import TokenCount

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an LLM is asked for: n answers, sampled together or side by side.

    messages: a chat ([{role, content}]), or a plain text to continue. schema: JSON schema of the answer; an LLM that
    cannot be held to it is asked all the same, so answers are always checked. stop: an answer ends before the first of
    them.
    """

    messages: list[dict[str, str]] | str
    seed: int
    max_tokens: int
    n: int = 1
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One answer. cut: it ended at `max_tokens`."""

    text: str
    cut: bool = False
    tokens: TokenCount = field(default_factory=TokenCount)


@dataclass(frozen=True, kw_only=True)
class LLMCapabilities:
    """What an LLM can do, which decides how it is asked (prompts/strategy.py).

    json: it is held to a schema, to any JSON object, or to nothing. batches: answers sampled together cost little more
    than one.
    """

    small: bool = False  # known to be below 1 B parameters
    likelihoods: bool = False
    json: Literal["schema", "object", "text"] = "text"
    batches: bool = False
    concurrency: int = 1  # questions that may be asked at once, from threads


class LLM(Protocol):
    """A language model that answers chats and continues texts."""

    info: ModelInfo

    @property
    def capabilities(self) -> LLMCapabilities: ...

    @property
    def tokens(self) -> TokenCount:
        """Count the tokens of all questions so far, also of those whose answers were of no use."""
        ...

    def generate(self, question: Question) -> list[Answer]:
        """Give n answers."""
        ...

    def log_likelihoods(self, prompt: str, continuations: list[str]) -> list[float]:
        """Compute the mean log-probability per token of each continuation after the prompt.

        Only where `capabilities.likelihoods`.
        """
        ...


class CLIP(Protocol):
    """A model that embeds texts and images in one space."""

    info: ModelInfo

    def embed_texts(self, texts: list[str]) -> "Tensor":
        """Embed texts to (n, d) float32 of unit length, on the CPU."""
        ...

    def embed_images(self, images: "list[Image]") -> "Tensor":
        """Embed images to (n, d) float32 of unit length, on the CPU."""
        ...


@dataclass(frozen=True)
class Generated:
    """Images as a diffusion model gives them.

    pixels: (n, 3, H, W) uint8 on the CPU. finite: whether the decoder's raw output was, before it was clamped. flagged:
    by the model's safety checker.
    """

    pixels: "Tensor"
    finite: list[bool]
    flagged: list[bool]


class Diffusion(Protocol):
    """A text-to-image model with its sampling settings."""

    info: ModelInfo
    dtype: str  # of the denoiser, like float16
    seconds: dict[str, float]  # spent so far, by phase: text, denoise, decode (with safety checker), copy (to the CPU)

    def encode(self, texts: list[str]) -> Any:
        """Encode texts for `generate`, together. Thread-safe beside it."""
        ...

    def generate(
        self, prompts: list[str], seeds: list[int], *, guidance_scale: list[float], encoded: Any = None
    ) -> Generated:
        """Generate one image per prompt, each from its own CPU generator. Raises torch.OutOfMemoryError.

        guidance_scale: one value for the batch, repeated. encoded: of `encode`, with all the prompts; None encodes them
        now.
        """
        ...

    def find_truncated(self, prompts: list[str]) -> set[str]:
        """Find the prompts that are longer than the text encoder takes."""
        ...
