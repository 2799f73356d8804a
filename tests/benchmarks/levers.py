"""What pays, one by one: the same images with one thing on against off, in turns; above 1 it pays.

`product` in a figure's details says what the job itself does: always, never (a candidate, kept out of synaug until it
has paid on a GPU), or the switch of run.yaml. Most are measured on the bare denoise-and-decode loop; texts and threads
on what they belong to.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from synaug.generation.batching import cut_batches, cut_windows, unique_prompts
from synaug.generation.part import generate_batch
from tests.benchmarks import full_size, images
from tests.benchmarks.result import Result, ratios, without_gpu

CANDIDATE, ALWAYS = "never: a candidate", "always"
Rate = Callable[[], float]


@dataclass(frozen=True)
class Switch:
    """on: around the bare loop."""

    name: str
    product: str
    on: Callable
    on_cpu: bool = False


@contextlib.contextmanager
def channels_last(diffusion) -> Iterator[None]:
    parts = [part for part in (diffusion.pipeline.unet, getattr(diffusion.pipeline, "vae", None)) if part is not None]
    for part in parts:
        part.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for part in parts:
            part.to(memory_format=torch.contiguous_format)


@contextlib.contextmanager
def regional_compile(diffusion) -> Iterator[None]:
    """As `images.compile` has it."""
    unet = diffusion.pipeline.unet
    unet.compile_repeated_blocks(fullgraph=True)
    try:
        yield
    finally:
        for module in unet.modules():
            module._compiled_call_impl = None


@contextlib.contextmanager
def cuda_graphs(diffusion) -> Iterator[None]:
    """The denoiser compiled whole, each step replayed as a CUDA graph."""
    unet = diffusion.pipeline.unet
    compiled = torch.compile(unet.forward, mode="reduce-overhead")

    def step(*arguments, **settings):
        torch.compiler.cudagraph_mark_step_begin()
        return compiled(*arguments, **settings)

    unet.forward = step
    try:
        yield
    finally:
        del unet.forward  # the class's own again


@contextlib.contextmanager
def sliced_decoding(diffusion) -> Iterator[None]:
    vae, before = diffusion.pipeline.vae, diffusion.pipeline.vae.use_slicing
    vae.use_slicing = True
    try:
        yield
    finally:
        vae.use_slicing = before


@contextlib.contextmanager
def vae_in_bfloat16(diffusion) -> Iterator[None]:
    """SDXL's overflows in float16, not in bfloat16, which has float32's range."""
    vae, before = diffusion.pipeline.vae, diffusion.pipeline.vae.dtype
    vae.to(torch.bfloat16)
    try:
        yield
    finally:
        vae.to(before)


def attention(backend: SDPBackend) -> Callable:
    """One backend of scaled_dot_product_attention alone; off: as torch chooses."""
    return lambda diffusion: sdpa_kernel([backend])


BACKENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
SWITCHES = [
    Switch("channels-last", CANDIDATE, channels_last, on_cpu=True),
    Switch("regional compile", "images.compile", regional_compile),
    *(Switch(f"{backend.name.lower().replace('_', ' ')} alone", CANDIDATE, attention(backend)) for backend in BACKENDS),
    Switch("decode in slices", "always from 1024 px on, for its memory", sliced_decoding),
    Switch("VAE in bfloat16", "sd15: always; sdxl: never", vae_in_bfloat16),
    Switch("CUDA graphs", CANDIDATE, cuda_graphs),
]
OTHERS = ("prompts embedded by windows", "encoding in threads", "pinned copies")


def run(*, part: int = 128, batch: int = 32, rounds: int = 5) -> list[Result]:
    """Measure all models; part, batch: images of the embedded generator."""
    gpu = torch.cuda.is_available()
    results = [] if gpu else measure("embedded", part=part, batch=batch, rounds=rounds)
    for profile, shape in images.SHAPES.items():
        title = f"{profile} bf16"
        if not gpu:
            results += [without_gpu(name_of(title, name)) for name in (*(switch.name for switch in SWITCHES), *OTHERS)]
            continue
        torch._dynamo.reset()
        with tempfile.TemporaryDirectory() as folder:
            clip, model = full_size.save_clip(Path(folder)), str(full_size.save(Path(folder), profile))
            size = {"part": 2 * shape["batch"], "batch": shape["batch"], "rounds": 2}
            results += measure(title, **size, clip=clip, profile=profile, model=model, dtype="bfloat16")
    return results


def name_of(title: str, lever: str) -> str:
    return f"levers {title}: {lever}, on / off"


def measure(title: str, *, part: int, batch: int, rounds: int, **settings) -> list[Result]:
    """Measure the levers of one model; settings: of `images.bench`."""
    results = []
    with images.bench(images=part, batch=batch, **settings) as at:
        gpu = at.device.type == "cuda"
        bare = at.bare()

        def measure_lever(lever: str, product: str, on: Rate, off: Rate) -> None:
            details = {"product": product, "images": part, "batch": batch, "device": str(at.device)}
            try:
                rates = measure_in_turns(on, off, rounds=rounds)
            except (
                RuntimeError
            ) as error:  # of attention where a backend has no kernel for the shape, or of the compiler
                results.append(
                    Result(name=name_of(title, lever), values=[], details=details | {"refused": str(error)[:200]})
                )
                return
            details |= {
                "images/s": {
                    name: [round(rate, 3) for rate in values] for name, values in zip(("on", "off"), rates, strict=True)
                }
            }
            results.append(Result(name=name_of(title, lever), values=ratios(*rates), details=details))

        for switch in SWITCHES:
            if gpu or switch.on_cpu:
                measure_lever(switch.name, switch.product, partial(time_within, switch, at, bare), bare.run)
        measure_lever(
            OTHERS[0], ALWAYS, partial(time_texts, at, together=True), partial(time_texts, at, together=False)
        )
        measure_lever(
            OTHERS[1], ALWAYS, lambda: images.stage(at).whole, lambda: images.stage(at, background=Inline()).whole
        )
        if gpu:
            measure_lever(
                OTHERS[2], CANDIDATE, partial(time_copies, bare, pinned=True), partial(time_copies, bare, pinned=None)
            )
    return results


def measure_in_turns(on: Rate, off: Rate, *, rounds: int) -> tuple[list[float], list[float]]:
    """Measure the rates of both, after one of each to warm up; who is first changes."""
    rates: dict[Rate, list[float]] = {on: [], off: []}
    for n in range(-1, rounds):
        for loop in (on, off) if n % 2 else (off, on):
            rate = loop()
            rates[loop] += [rate] if n >= 0 else []
    return rates[on], rates[off]


def time_within(switch: Switch, at: images.Bench, bare: images.Bare) -> float:
    with switch.on(at.diffusion):
        at.bare(at.batch).run()  # what switching costs, a compilation above all, is no part of the figure
        return bare.run()


def time_texts(at: images.Bench, *, together: bool) -> float:
    """Measure images a second with their prompts embedded by windows of batches, or an image's at a time."""
    todo = cut_batches(at.part.images, at.batch)
    start = time.perf_counter()
    for window in cut_windows(todo):
        if together:
            encoded = at.diffusion.encode(unique_prompts(window))
        else:
            encoded = {
                image.prompt.text: at.diffusion.encode([image.prompt.text])[image.prompt.text]
                for b in window
                for image in b.images
            }
        for batch in window:
            generate_batch(at.diffusion, at.job.config, batch, encoded)
    return len(at.part.images) / (time.perf_counter() - start)


class Inline:
    """`BackgroundPool` without threads: each batch is checked, encoded and scored before the next is generated."""

    def submit(self, task: Callable, *arguments) -> Iterator:
        yield task(*arguments)

    def rest(self) -> Iterator:
        return iter(())

    def close(self) -> None:
        pass


@torch.inference_mode()
def time_copies(bare: images.Bare, *, pinned: bool | None) -> float:
    """Measure images a second with their pixels on the CPU.

    pinned: through page-locked memory, while the next batch is under way (False: through such a buffer of ordinary
    memory); None: by `.cpu()`, as the job does.
    """
    start, waiting = time.perf_counter(), None
    for pixels in bare.batches():
        if pinned is None:
            pixels.float().cpu()
            continue
        buffer = torch.empty(pixels.shape, dtype=torch.float32, pin_memory=pinned)
        buffer.copy_(pixels.float(), non_blocking=pinned)
        if waiting is not None:
            waiting.synchronize()
        if pinned:
            waiting = torch.cuda.Event()
            waiting.record()
    if waiting is not None:
        waiting.synchronize()
    return bare.images / (time.perf_counter() - start)
