"""Diffusers as documented for many prompts: the pipeline called on a list of prompts and generators, images saved."""

import tempfile
import time
from pathlib import Path

import diffusers
import torch

from synaug.backends.profiles import resolve_sampling
from synaug.config import Config
from synaug.generation.batching import GenerationBatch, ImageRequest, cut_batches


class PlainLoop:
    """The run's model, dtype, scheduler, steps, guidance and batches; JPEGs of full size to disk.

    No checks, no scores. As in
    https://huggingface.co/docs/diffusers/using-diffusers/batched_inference
    """

    def __init__(self, config: Config, device: torch.device, images: list[ImageRequest]):
        self.config, self.sampling = config, resolve_sampling(config.images)
        profile = self.sampling.profile
        dtype = getattr(torch, "float32" if config.images.dtype == "auto" else config.images.dtype)
        self.pipeline = diffusers.DiffusionPipeline.from_pretrained(config.images.model, dtype=dtype).to(device)
        scheduler = getattr(diffusers, profile.scheduler)
        self.pipeline.scheduler = scheduler.from_config(self.pipeline.scheduler.config, **profile.scheduler_kwargs)
        self.pipeline.set_progress_bar_config(disable=True)
        self.batches = cut_batches(images, config.images.batch_size)

    def warm_up(self) -> None:
        self._generate(self.batches[:1])

    def run(self) -> float:
        """Measure images a second."""
        start = time.perf_counter()
        self._generate(self.batches)
        return sum(len(batch.images) for batch in self.batches) / (time.perf_counter() - start)

    def _generate(self, batches: list[GenerationBatch]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for batch in batches:
                pictures = self.pipeline(
                    [image.prompt.text for image in batch.images],
                    width=self.sampling.width,
                    height=self.sampling.height,
                    generator=[torch.Generator("cpu").manual_seed(image.seed(self.config)) for image in batch.images],
                    num_inference_steps=self.sampling.num_inference_steps,
                    guidance_scale=batch.guidance_scale,
                ).images
                for image, picture in zip(batch.images, pictures, strict=True):
                    picture.save(Path(folder) / f"{image.key}.jpg", quality=self.config.images.jpeg_quality)
