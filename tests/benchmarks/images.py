"""The images stage against a bare denoise-and-decode loop of the same model, batches and device, and against batch 1.

On a CPU the embedded generator; on a GPU an SD 1.5-shaped pipeline too. The stage is its real code in this process: prompts, images,
checks, JPEGs, CLIP scores, tar and manifest in a store on disk.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from synaug.backends.clip import open_clip_model
from synaug.backends.diffusion import open_diffusion
from synaug.devices import find_device
from synaug.generation.batches import Batch, batches
from synaug.generation.part import PartMaker, recipe, texts_of
from synaug.job import Job
from synaug.store import open_store
from tests.benchmarks import machine, sd15
from tests.benchmarks.result import Result, ratios
from tests.images_run import images_job


def run(*, images: int = 256, batch: int = 32, rounds: int = 3) -> list[Result]:
    results = measure("embedded", images=images, batch=batch, rounds=rounds)
    if torch.cuda.is_available():
        with tempfile.TemporaryDirectory() as folder:
            model, clip = sd15.save(Path(folder))
            results += measure(
                "sd15 512 px bf16", images=128, batch=16, rounds=3, clip=clip, profile="sd15", model=str(model), dtype="bfloat16"
            )
    return results


def measure(title: str, *, images: int, batch: int, rounds: int, clip: dict | None = None, **settings) -> list[Result]:
    """images: of one part. clip: fields of `prompts.clip`; settings: fields of `images:`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        job = images_job(
            store, images=-(-images // 3), part_images=images, batch_size=batch, **{"guidance_scale_diversified": None} | settings
        )
        job = with_clip(job, clip or {})
        device = find_device(job.config.compute.device)
        diffusion, model = open_diffusion(job.config, device), open_clip_model(job.config)
        part = recipe(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0])
        bare = Bare(diffusion, job, batches(part.images, batch))
        single = Bare(diffusion, job, batches(part.images[: max(2, len(part.images) // 16)], 1))
        stage(job, diffusion, model, part, device)  # warm-up, of both
        bare.run(), single.run()
        rates: dict[str, list[float]] = {"bare": [], "steady": [], "whole": [], "single": [], "one core": []}
        for _ in range(rounds):
            rates["bare"].append(bare.run())
            steady, whole = stage(job, diffusion, model, part, device)
            rates["steady"].append(steady)
            rates["whole"].append(whole)
            rates["single"].append(single.run())
            if device.type == "cpu":
                with machine.cores(1):
                    rates["one core"].append(stage(job, diffusion, model, part, device)[0])
    details = {"images": images, "batch": batch, "device": str(device), "images/s": {name: rounded(rate) for name, rate in rates.items()}}
    results = [
        Result(
            name=f"images {title}: stage / bare loop, steady state", values=ratios(rates["steady"], rates["bare"]), target=">= 0.95",
            details=details,
        ),
        Result(name=f"images {title}: stage with its start and end / bare loop", values=ratios(rates["whole"], rates["bare"])),
        Result(name=f"images {title}: stage at batch {batch} / bare loop at batch 1", values=ratios(rates["steady"], rates["single"])),
        Result(name=f"images {title}: stage", values=rates["steady"], unit="images/s"),
    ]  # fmt: skip
    if rates["one core"]:
        name = f"images {title}: stage on one core / bare loop on one thread"
        results.insert(2, Result(name=name, values=ratios(rates["one core"], rates["bare"])))
    return results


def rounded(rates: list[float]) -> dict:
    return {"median": round(median(rates), 3), "all": [round(rate, 3) for rate in rates]} if rates else {}


def with_clip(job: Job, clip: dict) -> Job:
    prompts = job.config.prompts.model_copy(update={"clip": job.config.prompts.clip.model_copy(update=clip)})
    return dataclasses.replace(job, config=job.config.model_copy(update={"prompts": prompts}))


class Bare:
    """Nothing but the pipeline's denoising and decoding; prompts are embedded and on the device before, results stay there."""

    def __init__(self, diffusion, job: Job, todo: list[Batch]):
        self.diffusion, self.images, self.inputs = diffusion, sum(batch.size for batch in todo), []
        encoded = diffusion.encode(texts_of(todo))
        for batch in todo:
            rows = [encoded[image.prompt.text] for image in batch.padded]
            arguments = {name: torch.cat([row[name] for row in rows]).to(diffusion.device) for name in rows[0]}
            if batch.guidance_scale > 1:
                unconditional = diffusion.pipeline.encode_prompt(
                    "", device=diffusion.device, num_images_per_prompt=1, do_classifier_free_guidance=True
                )[1]
                arguments["negative_prompt_embeds"] = unconditional.expand(len(rows), *unconditional.shape[1:])
            seeds = [image.seed(job.config) for image in batch.padded]
            self.inputs.append((arguments, seeds, batch.guidance_scale))

    def batches(self) -> Iterator[torch.Tensor]:
        """Decoded, (n, 3, H, W), as the pipeline scales them."""
        pipeline, sampling = self.diffusion.pipeline, self.diffusion.sampling
        embedded = sampling.profile.folder is not None
        size = {} if embedded else {"width": sampling.width, "height": sampling.height, "output_type": "latent"}
        for arguments, seeds, guidance_scale in self.inputs:
            made = pipeline(
                **arguments, **size, guidance_scale=guidance_scale, num_inference_steps=sampling.num_inference_steps,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )  # fmt: skip
            if embedded:
                yield pipeline.decode(made)
            else:
                vae = pipeline.vae
                yield vae.decode(made.images.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

    @torch.inference_mode()
    def run(self) -> float:
        """Images a second."""
        start = time.perf_counter()
        for _ in self.batches():
            pass
        if self.diffusion.device.type == "cuda":
            torch.cuda.synchronize()
        return self.images / (time.perf_counter() - start)


class Clocked:
    """The diffusion model, noting when each batch begins."""

    def __init__(self, diffusion):
        self.diffusion, self.begun, self.sizes = diffusion, [], []

    def __getattr__(self, name: str):
        return getattr(self.diffusion, name)

    def generate(self, prompts: list[str], *arguments, **settings):
        self.begun.append(time.perf_counter())
        self.sizes.append(len(prompts))
        return self.diffusion.generate(prompts, *arguments, **settings)


def stage(job: Job, diffusion, clip, part, device) -> tuple[float, float]:
    """Images a second from the first batch's begin to the last one's, and of the whole part."""
    clocked = Clocked(diffusion)
    start = time.perf_counter()
    maker = PartMaker(
        store=job.store, run=job.run, config=job.config, plan=job.plan, diffusion=clocked, clip=clip, versions={},
        threads=1 if device.type == "cpu" else 4,
    )  # fmt: skip
    try:
        maker.make(part)
    finally:
        maker.close()
    whole = len(part.images) / (time.perf_counter() - start)
    return sum(clocked.sizes[:-1]) / (clocked.begun[-1] - clocked.begun[0]), whole
