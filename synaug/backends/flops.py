"""A first guess of a GPU's images a second, by floating-point operations, for a plan before `preview` has measured.

Never part of the estimate: what nobody measured stays unmeasured there.
"""

from synaug.backends.profiles import resolve_sampling
from synaug.config import Config

# TFLOP of an image, counted by tests/fake_gpu/test_flops.py (FlopCounterMode): a denoiser's step, and its decoding.
WORK = {
    ("StableDiffusionPipeline", 512): (0.803, 2.515),
    ("StableDiffusionXLPipeline", 1024): (6.761, 10.470),
}
# Dense bfloat16 or float16 TFLOP/s on tensor cores, of NVIDIA's data sheets (without sparsity).
GPUS = {
    "B200": 2250,
    "H200": 989,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "4090": 165,
    "V100": 125,
    "T4": 65,
}
SHARE = 0.35  # of the peak that denoisers reach in practice, roughly; attention and small convolutions stay below it


def guess_rate(config: Config) -> str | None:
    """Say what compute.gpu_name may reach, or None where the GPU or the model's work is not in the tables."""
    name = config.compute.gpu_name or ""
    peak = next((speed for gpu, speed in GPUS.items() if gpu in name.upper().replace("-", " ").split()), None)
    if peak is None:
        return None
    sampling = resolve_sampling(config.images)
    work = WORK.get((sampling.family.pipeline, sampling.width)) if sampling.width == sampling.height else None
    if work is None:
        return None
    step, decode = work
    passes = 2 if sampling.guidance_scale > sampling.family.guidance_off else 1
    each = sampling.num_inference_steps * passes * step + decode
    return (
        f"by FLOPs, not measured: {each:.3g} TFLOP an image, so about {peak * SHARE / each:.2g} images/s on one "
        f"{name}, at {SHARE:.0%} of its {peak:,} TFLOP/s; `synaug preview` measures"
    )
