"""What makes a diffusion model faster: each a field of `images:`, refused where the model has none of it."""

import inspect
from typing import Any

import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.models.cache_utils import CacheMixin

from synaug.backends.profiles import Sampling
from synaug.config.images import Images
from synaug.errors import UsageError, first_line

FEWEST_CACHED_STEPS = 8  # below, hardly a step is like the one before it


def levers_of(images: Images) -> dict[str, str]:
    """Name the levers in use that change pixels, with their values: a manifest lists them among its versions."""
    values = {
        "images.attention_backend": images.attention_backend,
        "images.channels_last": "true" if images.channels_last else None,
        "images.compile": "true" if images.compile else None,
        "images.step_cache": images.step_cache,
    }
    return {name: value for name, value in values.items() if value is not None}


def apply_levers(pipeline: Any, denoiser: Any, images: Images, sampling: Sampling) -> None:
    """Apply the levers that are asked for to a pipeline's denoiser, on its device; compiling is the last.

    Raises UsageError for one that this model has none of, or that would do nothing.
    """
    name = type(denoiser).__name__
    if images.channels_last:
        if getattr(pipeline, "unet", None) is None:
            raise UsageError(f"images.channels_last=true is for UNets, and {name} is none; leave it out")
        denoiser.to(memory_format=torch.channels_last)
    if images.attention_backend:
        _choose_attention(denoiser, images.attention_backend, name)
    if images.step_cache:
        _cache_steps(pipeline, denoiser, images.step_cache, sampling)
    if images.compile:
        compile_denoiser(denoiser)


def compile_denoiser(denoiser: Any) -> None:
    """Compile a denoiser: its repeated blocks, each once, where diffusers knows them, else as a whole."""
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(fullgraph=True)
    else:
        denoiser.compile()


def restart_step_cache(denoiser: Any) -> None:
    """Forget the steps of an earlier call, which may have ended in the middle, out of memory."""
    if getattr(denoiser, "is_cache_enabled", False):
        denoiser._reset_stateful_cache()


def _choose_attention(denoiser: Any, backend: str, name: str) -> None:
    if not any(hasattr(getattr(module, "processor", None), "_attention_backend") for module in denoiser.modules()):
        raise UsageError(
            f"images.attention_backend={backend!r} would do nothing: the attention of {name} takes no backend in "
            "diffusers; leave it out"
        )
    try:
        denoiser.set_attention_backend(backend)
    except (ValueError, RuntimeError, ImportError) as error:
        raise UsageError(
            f"images.attention_backend={backend!r}: {first_line(error)}; give another, or leave it out"
        ) from error


def _cache_steps(pipeline: Any, denoiser: Any, kind: str, sampling: Sampling) -> None:
    if sampling.num_inference_steps < FEWEST_CACHED_STEPS:
        raise UsageError(
            f"images.step_cache={kind}: of {sampling.num_inference_steps} steps hardly one is like the one before it; "
            f"it is for {FEWEST_CACHED_STEPS} steps or more: leave it out"
        )
    # A cache tells the guided pass from the other by a context, which not every pipeline with such a model opens.
    opens = "cache_context" in inspect.getsource(type(pipeline).__call__)
    if not isinstance(denoiser, CacheMixin) or not opens:
        raise UsageError(f"images.step_cache={kind}: {type(pipeline).__name__} has no step cache; leave it out")
    try:
        denoiser.enable_cache(FirstBlockCacheConfig())
    except (ValueError, KeyError, RuntimeError) as error:
        raise UsageError(f"images.step_cache={kind}: {first_line(error)}; leave it out") from error
