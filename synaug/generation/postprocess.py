"""What happens to a generated batch beside the model: checks, JPEG, CLIP score, metadata."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from synaug.backends import profiles
from synaug.backends.protocols import CLIP, Generated
from synaug.config import Config
from synaug.generation.background import Stopwatch
from synaug.generation.batching import GenerationBatch, ImageRequest
from synaug.generation.checks import faults
from synaug.generation.encode import to_image, to_jpeg
from synaug.run.plan import ModelInfo


@dataclass(frozen=True)
class EncodedPrompts:
    """What was computed from the prompts of a window of batches."""

    encoded: object  # by the diffusion model, for its `generate`
    truncated: set[str]  # longer than its text encoder takes
    embeddings: dict[str, torch.Tensor]  # by CLIP


@dataclass(frozen=True)
class Sample:
    jpeg: bytes
    clip_score: float
    metadata: dict


@dataclass(frozen=True)
class Finished:
    batch: GenerationBatch
    faults: list[str | None]  # of each image
    samples: list[Sample]  # of the good ones
    truncated: int

    def rows(self) -> Iterator[tuple[ImageRequest, str | None, Sample | None]]:
        samples = iter(self.samples)
        for image, fault in zip(self.batch.images, self.faults, strict=True):
            yield image, fault, None if fault else next(samples)


class BatchPostprocessor:
    def __init__(self, config: Config, info: ModelInfo, clip: CLIP, stopwatch: Stopwatch):
        self.config, self.info, self.clip, self.stopwatch = config, info, clip, stopwatch
        self.sampling = profiles.sampling(config.images)

    def embed_texts(self, texts: list[str]) -> dict[str, torch.Tensor]:
        with self.stopwatch.phase("clip"):
            return dict(zip(texts, self.clip.embed_texts(texts), strict=True))

    def finish(self, batch: GenerationBatch, generated: Generated, texts: EncodedPrompts) -> Finished:
        """Drops the padding, looks for faults, and makes a sample of each good image."""
        n, images = len(batch.images), self.config.images
        with self.stopwatch.phase("checks"):
            found = faults(generated.pixels[:n], generated.flagged[:n])
        good = [row for row in range(n) if not found[row]]
        with self.stopwatch.phase("encode"):
            pictures = [to_image(generated.pixels[row], shortest_edge=images.shortest_edge) for row in good]
            jpegs = [to_jpeg(picture, quality=images.jpeg_quality) for picture in pictures]
        with self.stopwatch.phase("clip"):
            scores = self._scores([texts.embeddings[batch.images[row].prompt.text] for row in good], pictures)
        samples = [
            Sample(jpeg, score, self.metadata(batch.images[row], jpeg, score, picture.size))
            for row, jpeg, score, picture in zip(good, jpegs, scores, pictures, strict=True)
        ]
        return Finished(batch, found, samples, sum(image.prompt.text in texts.truncated for image in batch.images))

    def _scores(self, texts: list[torch.Tensor], pictures: list) -> list[float]:
        """Cosine of each image with its prompt, 4 digits."""
        if not pictures:
            return []
        cosines = (torch.stack(texts) * self.clip.embed_images(pictures)).sum(-1)
        return [round(float(cosine), 4) for cosine in cosines]

    def metadata(self, image: ImageRequest, jpeg: bytes, clip_score: float, size: tuple[int, int]) -> dict:
        """Named after DiffusionDB and diffusers."""
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
            "sampler": profile.scheduler,
            "width": size[0],
            "height": size[1],
            "model": self.info.name,
            "revision": self.info.revision,
            "licence": profile.license,
            "clip_score": clip_score,
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "synthetic": True,
        } | ({"negative_prompt": sampling.negative_prompt} if sampling.negative_prompt else {})
