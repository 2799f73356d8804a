"""What a model backend offers. Torch tensors live on the backend's device; texts and PIL images go in."""

from collections.abc import Sequence
from typing import Any, Protocol

from synaug.run.plan import ModelInfo


class LLM(Protocol):
    info: ModelInfo
    small: bool  # below 1 B parameters: few-shot lines, senses ranked by likelihood

    def generate(
        self, messages: list[dict[str, str]] | str, *, n: int, seed: int, max_tokens: int, stop: Sequence[str] = ()
    ) -> list[str]:
        """n answers, sampled together. messages: a chat ([{role, content}]), or a plain text to continue."""

    def log_likelihoods(self, prompt: str, continuations: list[str]) -> list[float]:
        """Mean log-probability per token of each continuation after the prompt."""


class CLIP(Protocol):
    info: ModelInfo

    def embed_texts(self, texts: list[str]) -> Any:
        """(n, d) float32, unit length."""

    def embed_images(self, images: list[Any]) -> Any:
        """PIL images to (n, d) float32, unit length."""


class Generated(Protocol):
    pixels: Any  # (n, 3, H, W) float32 on the CPU, nominally in [0, 1]; not finite where the model failed
    flagged: list[bool]


class Diffusion(Protocol):
    info: ModelInfo
    dtype: str  # of the denoiser, like float16
    seconds: dict[
        str, float
    ]  # spent so far, by phase: text, denoise, decode (with the safety checker), copy (to the CPU)

    def encode(self, texts: list[str]) -> Any:
        """The texts' embeddings, for `generate`. Thread-safe beside it; the texts are encoded together."""

    def generate(
        self, prompts: list[str], seeds: list[int], *, guidance_scale: list[float], encoded: Any = None
    ) -> Generated:
        """One image a prompt, each from its own CPU generator. guidance_scale: one value for the batch, repeated.

        encoded: of `encode`, with all the prompts; None encodes them now. Raises torch.OutOfMemoryError.
        """

    def truncated(self, prompts: list[str]) -> set[str]:
        """Those that are longer than the text encoder takes."""
