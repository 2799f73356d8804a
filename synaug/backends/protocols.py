"""What a model backend offers. Torch tensors live on the backend's device; texts and PIL images go in.

Torch is named for type checkers only, and not imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from PIL.Image import Image

from synaug.run.plan import ModelInfo

if TYPE_CHECKING:
    from torch import Tensor


class LLM(Protocol):
    """A language model that answers chats and continues texts."""

    info: ModelInfo
    small: bool  # below 1 B parameters: few-shot lines, senses ranked by likelihood

    def generate(
        self, messages: list[dict[str, str]] | str, *, n: int, seed: int, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[str]:
        """Sample n answers together; messages: a chat ([{role, content}]), or a plain text to continue."""
        ...

    def log_likelihoods(self, prompt: str, continuations: list[str]) -> list[float]:
        """Compute the mean log-probability per token of each continuation after the prompt."""
        ...


class CLIP(Protocol):
    """A model that embeds texts and images in one space."""

    info: ModelInfo

    def embed_texts(self, texts: list[str]) -> "Tensor":
        """Embed texts to (n, d) float32 of unit length, on the CPU."""
        ...

    def embed_images(self, images: list[Image]) -> "Tensor":
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
