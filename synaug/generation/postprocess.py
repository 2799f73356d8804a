"""What happens to a generated batch beside the model: checks, JPEG, CLIP score, metadata."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from synaug.backends.profiles import resolve_sampling
from synaug.backends.protocols import CLIP, Generated
from synaug.config import Config
from synaug.generation.background import Stopwatch
from synaug.generation.batching import GenerationBatch, ImageRequest
from synaug.generation.quality import find_faults
from synaug.run.plan import ModelInfo


@dataclass(frozen=True)
class EncodedPrompts:
    """What was computed from the prompts of a window of batches."""

    encoded: Any  # by the diffusion model, for its `generate`
    truncated: set[str]  # longer than its text encoder takes
    embeddings: dict[str, torch.Tensor]  # by CLIP


@dataclass(frozen=True)
class AcceptedImage:
    """An image as it is stored."""

    request: ImageRequest
    jpeg: bytes
    clip_score: float
    metadata: dict[str, Any]


@dataclass(frozen=True)
class RejectedImage:
    """An image that is thrown away, and why."""

    request: ImageRequest
    reason: str


@dataclass(frozen=True)
class FinishedBatch:
    """What came out of a batch, in its order."""

    faults: list[str | None]  # of each image
    accepted: list[AcceptedImage]
    rejected: list[RejectedImage]
    truncated: int  # images whose prompt is longer than the text encoder takes


class BatchPostprocessor:
    """Checks, encodes and scores batches; used by several threads at once."""

    def __init__(self, config: Config, info: ModelInfo, clip: CLIP, stopwatch: Stopwatch):
        self.config, self.info, self.clip, self.stopwatch = config, info, clip, stopwatch
        self.sampling = resolve_sampling(config.images)

    def embed_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Embed texts by CLIP: {text: (d,)}."""
        with self.stopwatch.phase("clip"):
            return dict(zip(texts, self.clip.embed_texts(texts), strict=True))

    def finish(self, batch: GenerationBatch, generated: Generated, prompts: EncodedPrompts) -> FinishedBatch:
        """Drop the padding, look for faults, and encode and score each good image."""
        n, settings = len(batch.images), self.config.images
        with self.stopwatch.phase("checks"):
            faults = find_faults(generated)[:n]
        good = [row for row in range(n) if not faults[row]]
        with self.stopwatch.phase("encode"):
            pictures = [to_image(generated.pixels[row], shortest_edge=settings.shortest_edge) for row in good]
            jpegs = [to_jpeg(picture, quality=settings.jpeg_quality) for picture in pictures]
        with self.stopwatch.phase("clip"):
            scores = self._score([prompts.embeddings[batch.images[row].prompt.text] for row in good], pictures)
        accepted = [
            AcceptedImage(image, jpeg, score, self.describe(image, jpeg, score, picture.size))
            for image, jpeg, score, picture in zip(
                [batch.images[row] for row in good], jpegs, scores, pictures, strict=True
            )
        ]
        return FinishedBatch(
            faults=faults,
            accepted=accepted,
            rejected=[RejectedImage(image, fault) for image, fault in zip(batch.images, faults, strict=True) if fault],
            truncated=sum(image.prompt.text in prompts.truncated for image in batch.images),
        )

    def _score(self, texts: list[torch.Tensor], pictures: list[Image.Image]) -> list[float]:
        """Cosine of each image with its prompt, 4 digits."""
        if not pictures:
            return []
        cosines = (torch.stack(texts) * self.clip.embed_images(pictures)).sum(-1)
        return [round(float(cosine), 4) for cosine in cosines]

    def describe(self, image: ImageRequest, jpeg: bytes, clip_score: float, size: tuple[int, int]) -> dict[str, Any]:
        """Write the metadata of an image; the fields are named after DiffusionDB and diffusers."""
        sampling, profile = self.sampling, self.sampling.profile
        return {
            "key": image.key,
            "class_id": image.class_id,
            "label": image.label,
            "index": image.index,
            "prompt": image.prompt.text,
            "kind": image.prompt.kind,
            "attributes": image.prompt.attributes,
            "sense": image.sense,
            "seed": image.seed(self.config),
            "attempt": image.attempt,
            "num_inference_steps": sampling.num_inference_steps,
            "guidance_scale": image.guidance_scale,
            "sampler": profile.scheduler or "the model's own",
            "width": size[0],
            "height": size[1],
            "model": self.info.name,
            "revision": self.info.revision,
            "licence": profile.license,
            "clip_score": clip_score,
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "synthetic": True,
        } | ({"negative_prompt": sampling.negative_prompt} if sampling.negative_prompt else {})


def to_image(pixels: torch.Tensor, *, shortest_edge: int) -> Image.Image:
    """Convert (3, H, W) uint8 to RGB.

    The shortest edge is shrunk to `shortest_edge` pixels with antialiasing, never enlarged.
    """
    array = pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray(array)
    if min(image.size) <= shortest_edge:
        return image
    scale = shortest_edge / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def to_jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Encode an image as JPEG; quality: 1 to 100."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
