"""The images stage against a bare denoise-and-decode loop of the same model, batches and device, and against batch 1.

The embedded generator; on a GPU a random pipeline of SD 1.5's true size too.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from synaug.backends.clip import open_clip_model
from synaug.backends.diffusion import open_diffusion
from synaug.devices import find_device
from synaug.generation.batches import batches
from synaug.generation.part import PartMaker, recipe, texts_of
from synaug.generation.versions import versions
from synaug.store import open_store
from tests.benchmarks import sd15
from tests.benchmarks.result import Result
from tests.images_run import images_job

IMAGES, BATCH, ROUNDS = 256, 32, 3


def run(images: int = IMAGES, batch: int = BATCH) -> list[Result]:
    results = measure("embedded", images, batch)
    if torch.cuda.is_available():
        with tempfile.TemporaryDirectory() as folder:
            model, clip = sd15.save(Path(folder))
            results += measure("SD 1.5", 128, 16, clip, profile="sd15", model=str(model), dtype="bfloat16")
    return results


def measure(title: str, images: int, batch: int, clip: dict | None = None, **settings) -> list[Result]:
    """clip: fields of `prompts.clip`; settings: fields of `images:`, for another profile than the embedded one."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        job = images_job(
            open_store(Path(folder) / "store", create=True), images=-(-images // 3), part_images=images, batch_size=batch,
            **{"guidance_scale_diversified": None} | settings,
        )  # fmt: skip
        prompts = job.config.prompts.model_copy(update={"clip": job.config.prompts.clip.model_copy(update=clip or {})})
        job = replace(job, config=job.config.model_copy(update={"prompts": prompts}))
        device = find_device("auto")
        diffusion, clip = open_diffusion(job.config, device), open_clip_model(job.config)
        part = recipe(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0])
        todo = batches(part.images, batch)
        encoded = diffusion.encode(texts_of(todo))
        bare(diffusion, job.config, todo[:1], encoded)  # warm-up
        rates = {"stage": [], "bare": []}
        for _ in range(ROUNDS):
            rates["bare"].append(len(part.images) / bare(diffusion, job.config, todo, encoded))
            rates["stage"].append(len(part.images) / stage(job, diffusion, clip, part, device))
        singles = batches(part.images[: max(4, batch // 2)], 1)
        single = len(singles) / bare(diffusion, job.config, singles, encoded)
    details = {"images": images, "batch": batch, "device": versions(device)["device"], "model": diffusion.info.name, "rates": rates}
    pairs = [s / b for s, b in zip(rates["stage"], rates["bare"], strict=True)]
    return [
        Result(name=f"images stage / bare denoise and decode, {title}", value=median(pairs), target=">= 0.95", details=details),
        Result(
            name=f"images stage at batch {batch} / batch 1, {title}", value=median(rates["stage"]) / single, details={"batch 1": single}
        ),
        Result(name=f"images stage, {title}", value=median(rates["stage"]), unit="images/s", details=details),
    ]


def bare(diffusion, config, todo, encoded) -> float:
    """Seconds of nothing but the model, prompts encoded before."""
    start = time.perf_counter()
    for batch in todo:
        images = batch.padded
        diffusion.generate(
            [image.prompt.text for image in images], [image.seed(config) for image in images],
            guidance_scale=[batch.guidance_scale] * batch.size, encoded=encoded,
        )  # fmt: skip
    return time.perf_counter() - start


def stage(job, diffusion, clip, part, device) -> float:
    """Seconds of a whole part: prompts, images, checks, JPEGs, CLIP scores, tar and manifest in the store."""
    maker = PartMaker(
        store=job.store, run=job.run, config=job.config, plan=job.plan, diffusion=diffusion, clip=clip, versions={},
        threads=1 if device.type == "cpu" else 4,
    )  # fmt: skip
    start = time.perf_counter()
    try:
        maker.make(part)
    finally:
        maker.close()
    return time.perf_counter() - start
