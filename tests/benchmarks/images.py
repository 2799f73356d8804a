"""The images stage against a bare denoise-and-decode loop of the same model and batches, and where its time goes.

Also against diffusers as its documentation shows it, and against batch 1. On a CPU the embedded generator, on a GPU
pipelines of SD 1.5's and SDXL's size. The stage is its real code in this process: prompts, images, checks, JPEGs, CLIP
scores, tar and manifest in a store on disk. Warm-up, and compilation with it, goes before.
"""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from synaug.backends.clip import open_clip_model
from synaug.backends.devices import find_device
from synaug.backends.diffusion import DiffusersModel, open_diffusion
from synaug.backends.protocols import CLIP
from synaug.data import layout
from synaug.data.store import open_store
from synaug.generation.batching import GenerationBatch, cut_batches, unique_prompts
from synaug.generation.part import PartMaker, PartRequest, request_part
from synaug.run.job import Job
from tests.benchmarks import full_size, machine
from tests.benchmarks.diffusers_loop import PlainLoop
from tests.benchmarks.result import Result, ratios, without_gpu
from tests.images_run import images_job

BARE, PLAIN, SINGLE = ">= 0.97", ">= 1.5", ">= 3"  # on a GPU
SHAPES = {  # of a part that is long enough to be steady, short enough for three loops of it
    "sd15": {"images": 128, "batch": 16, "rounds": 3},
    "sdxl": {"images": 32, "batch": 8, "rounds": 2},
}
PHASES = ("text", "denoise", "decode", "copy", "checks", "encode", "clip", "upload", "wait")


def run(*, images: int = 256, batch: int = 32, rounds: int = 3) -> list[Result]:
    """Measure all models; images, batch, rounds: of the embedded generator."""
    gpu = torch.cuda.is_available()
    results = [] if gpu else measure("embedded", images=images, batch=batch, rounds=rounds)
    for profile, shape in SHAPES.items():
        title = f"{profile} bf16, compiled"
        if not gpu:
            results += [without_gpu(name, target) for name, target in names(title, shape["batch"]).items() if target]
            continue
        torch._dynamo.reset()
        with tempfile.TemporaryDirectory() as folder:
            clip, model = full_size.save_clip(Path(folder)), str(full_size.save(Path(folder), profile))
            results += measure(title, **shape, clip=clip, profile=profile, model=model, dtype="bfloat16", compile=True)
    return results


def names(title: str, batch: int) -> dict[str, str]:
    """Name the ratios, with their targets."""
    return {
        f"images {title}: stage / bare loop, steady state": ">= 0.95" if title == "embedded" else BARE,
        f"images {title}: stage / diffusers as documented, batch {batch}": PLAIN,
        f"images {title}: stage at batch {batch} / bare loop at batch 1": "" if title == "embedded" else SINGLE,
        f"images {title}: stage with its start and end / bare loop": "",
        f"images {title}: stage on one core / bare loop on one thread": "",
    }


@dataclasses.dataclass(frozen=True)
class Bench:
    """One part, and the models that make it."""

    job: Job
    device: torch.device
    diffusion: DiffusersModel
    clip: CLIP
    part: PartRequest
    batch: int

    def bare(self, images: int | None = None, batch: int | None = None) -> "Bare":
        """Loop over the part's first `images`."""
        return Bare(self.diffusion, self.job, cut_batches(self.part.images[:images], batch or self.batch))


@contextlib.contextmanager
def bench(*, images: int, batch: int, clip: dict | None = None, **settings) -> Iterator[Bench]:
    """Open a part of `images` images and its models; clip: fields of `prompts.clip`, settings: fields of `images:`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        job = images_job(
            store,
            images=-(-images // 3),
            part_images=images,
            batch_size=batch,
            **{"guidance_scale_diversified": None} | settings,
        )
        job = with_clip(job, clip or {})
        device = find_device(job.config.compute.device)
        diffusion, model = open_diffusion(job.config, device), open_clip_model(job.config)
        part = request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0])
        yield Bench(job, device, diffusion, model, part, batch)


def measure(title: str, *, images: int, batch: int, rounds: int, **settings) -> list[Result]:
    """Measure one model; settings: of `bench`."""
    rates: dict[str, list[float]] = {name: [] for name in ("bare", "steady", "whole", "plain", "single", "one core")}
    shares: dict[str, list[float]] = {phase: [] for phase in PHASES}
    with bench(images=images, batch=batch, **settings) as at:
        bare = at.bare()
        plain = None if at.diffusion.sampling.embedded else PlainLoop(at.job.config, at.device, at.part.images)
        for loop in (lambda: stage(at), bare.run, *([plain.warm_up] if plain else [])):  # warm-up
            loop()
        for _ in range(rounds):
            rates["bare"].append(bare.run())
            timed = stage(at)
            rates["steady"].append(timed.steady)
            rates["whole"].append(timed.whole)
            for phase in PHASES:
                shares[phase].append(timed.shares.get(phase, 0.0))
            if plain:
                rates["plain"].append(plain.run())
            if at.device.type == "cpu":
                with machine.cores(1):
                    rates["one core"].append(stage(at).steady)
        single = at.bare(max(2, images // 16), 1)
        # after the others: another batch size makes torch.compile build graphs of any size, which are slower
        single.run()
        rates["single"] = [single.run() for _ in range(rounds)]
    details = {"images": images, "batch": batch, "device": str(at.device)}
    details |= {"images/s": {name: rounded(rate) for name, rate in rates.items()}}
    under = ("steady", "bare"), ("steady", "plain"), ("steady", "single"), ("whole", "bare"), ("one core", "bare")
    results = [
        Result(name=name, values=ratios(rates[a], rates[b]), target=target, details=details)
        for (name, target), (a, b) in zip(names(title, batch).items(), under, strict=True)
        if rates[a] and rates[b]
    ]
    results.append(Result(name=f"images {title}: stage", values=rates["steady"], unit="images/s"))
    unit = "of the part's seconds"  # the model's own thread: denoise, decode, copy and wait; the others overlap with it
    return results + [
        Result(name=f"images {title}: {phase}", values=values, unit=unit) for phase, values in shares.items()
    ]


def rounded(rates: list[float]) -> dict:
    return {"median": round(median(rates), 3), "all": [round(rate, 3) for rate in rates]} if rates else {}


def with_clip(job: Job, clip: dict) -> Job:
    prompts = job.config.prompts.model_copy(update={"clip": job.config.prompts.clip.model_copy(update=clip)})
    return dataclasses.replace(job, config=job.config.model_copy(update={"prompts": prompts}))


class Bare:
    """Nothing but the pipeline's denoising and decoding.

    Prompts are embedded and on the device before, results stay there.
    """

    def __init__(self, diffusion: DiffusersModel, job: Job, todo: list[GenerationBatch]):
        self.diffusion, self.images, self.inputs = diffusion, sum(batch.size for batch in todo), []
        encoded = diffusion.encode(unique_prompts(todo))
        for batch in todo:
            rows = [encoded[image.prompt.text] for image in batch.padded]
            arguments = {name: torch.cat([row[name] for row in rows]).to(diffusion.device) for name in rows[0]}
            if batch.guidance_scale > 1:
                answer = diffusion.pipeline.encode_prompt(
                    "", device=diffusion.device, num_images_per_prompt=1, do_classifier_free_guidance=True
                )
                unconditional = {"negative_prompt_embeds": answer[1]}
                unconditional |= {"negative_pooled_prompt_embeds": answer[3]} if len(answer) == 4 else {}
                arguments |= {name: row.expand(len(rows), *row.shape[1:]) for name, row in unconditional.items()}
            seeds = [image.seed(job.config) for image in batch.padded]
            self.inputs.append((arguments, seeds, batch.guidance_scale))

    def batches(self) -> Iterator[torch.Tensor]:
        """Decoded, (n, 3, H, W), as the pipeline scales them."""
        pipeline, sampling = self.diffusion.pipeline, self.diffusion.sampling
        embedded = sampling.embedded
        size = {} if embedded else {"width": sampling.width, "height": sampling.height, "output_type": "latent"}
        for arguments, seeds, guidance_scale in self.inputs:
            output = pipeline.__call__(
                **arguments,
                **size,
                guidance_scale=guidance_scale,
                num_inference_steps=sampling.num_inference_steps,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
            if embedded:
                yield pipeline.decode(output)
            else:
                vae = pipeline.vae
                yield vae.decode(output.images.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

    @torch.inference_mode()
    def run(self) -> float:
        """Measure images a second."""
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


@dataclasses.dataclass(frozen=True)
class Timed:
    steady: float  # images a second from the first batch's begin to the last one's
    whole: float  # of the whole part
    shares: dict[str, float]  # of the part's seconds, by phase


def stage(at: Bench, *, background=None) -> Timed:
    """Make and publish the part. background: in place of the threads beside the model."""
    part, store = at.part.part, at.job.store
    for key in (layout.synthetic_manifest, layout.synthetic_tar):  # a part that lies there is not put again
        if store.exists(name := key(at.job.run, part.multiple, part.shard, part.number)):
            store.delete(name)
    clocked, before = Clocked(at.diffusion), dict(at.diffusion.seconds)
    start = time.perf_counter()
    maker = PartMaker(
        store=store,
        run=at.job.run,
        config=at.job.config,
        plan=at.job.plan,
        diffusion=clocked,
        clip=at.clip,
        versions={},
        threads=1 if at.device.type == "cpu" else 4,
    )
    if background:
        maker.background.close()
        maker.background = background
    try:
        maker.make(at.part)
    finally:
        maker.close()
    seconds = time.perf_counter() - start
    phases = {name: total - before[name] for name, total in at.diffusion.seconds.items()} | maker.stopwatch.seconds
    steady = sum(clocked.sizes[:-1]) / (clocked.begun[-1] - clocked.begun[0])
    return Timed(steady, len(at.part.images) / seconds, {name: spent / seconds for name, spent in phases.items()})
