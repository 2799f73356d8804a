"""Diffusers as its documentation shows it for many prompts: the pipeline called on a list of prompts and generators, each image saved."""

import tempfile
import time
from pathlib import Path

import torch

from synaug.backends.profiles import resolve_sampling
from synaug.config import Config
from synaug.generation.batching import GenerationBatch, ImageRequest, cut_batches


class PlainLoop:
    """Of the run's model, dtype, scheduler, steps, guidance and batches; JPEGs of full size to disk, no checks, no scores.

    https://huggingface.co/docs/diffusers/using-diffusers/batched_inference
    """

    def __init__(self, config: Config, device: torch.device, images: list[ImageRequest]):
        import diffusers

        self.config, self.sampling = config, resolve_sampling(config.images)
        profile, dtype = (
            self.sampling.profile,
            getattr(torch, "float32" if config.images.dtype == "auto" else config.images.dtype),
        )
        self.pipeline = diffusers.DiffusionPipeline.from_pretrained(config.images.model, dtype=dtype).to(device)
        scheduler = getattr(diffusers, profile.scheduler)
        self.pipeline.scheduler = scheduler.from_config(self.pipeline.scheduler.config, **profile.scheduler_kwargs)
        self.pipeline.set_progress_bar_config(disable=True)
        self.todo = cut_batches(images, config.images.batch_size)

    def warm_up(self) -> None:
        self._made(self.todo[:1])

    def run(self) -> float:
        """Images a second."""
        start = time.perf_counter()
        self._made(self.todo)
        return sum(len(batch.images) for batch in self.todo) / (time.perf_counter() - start)

    def _made(self, todo: list) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for batch in todo:
                made = self.pipeline(
                    [image.prompt.text for image in batch.images],
                    width=self.sampling.width,
                    height=self.sampling.height,
                    generator=[torch.Generator("cpu").manual_seed(image.seed(self.config)) for image in batch.images],
                    num_inference_steps=self.sampling.num_inference_steps,
                    guidance_scale=batch.guidance_scale,
                ).images
                for image, picture in zip(batch.images, made, strict=True):
                    picture.save(Path(folder) / f"{image.key}.jpg", quality=self.config.images.jpeg_quality)
