"""Text-to-image models: diffusers pipelines by profile, and the embedded one, behind `protocols.Diffusion`."""

import time
from functools import cached_property
from threading import Lock

import diffusers
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from transformers.utils import logging

from synaug import telemetry
from synaug.backends import hub
from synaug.backends.profiles import Profile, Sampling, resolve_sampling
from synaug.backends.protocols import Generated
from synaug.backends.resolve import resolve_diffusion
from synaug.backends.weights import fetch_weights, weights_folder
from synaug.config import Config
from synaug.embedded.generator import EmbeddedPipeline
from synaug.errors import ModelError, first_line
from synaug.run.plan import ModelInfo
from synaug.run.progress import LineReporter


def open_diffusion(config: Config, device: str | torch.device) -> "DiffusersModel":
    """Open the run's diffusion model.

    Raises UsageError for a setting that the profile ignores, ModelError when it cannot be loaded.
    """
    return DiffusersModel.load(config, device, resolve_diffusion(config))


def _beat_each_step(*step) -> dict:
    """On a CPU a batch of a large model can take longer than a stage may stall."""
    telemetry.beat()
    return {}


def _dtypes(config: Config, profile: Profile, device: torch.device) -> tuple[torch.dtype, torch.dtype]:
    """The types of the denoiser and of the VAE.

    An explicit images.dtype keeps the profile's type of the VAE where that is wider.
    """
    on_cpu = device.type == "cpu"
    chosen = config.images.dtype
    dtype = (profile.cpu_dtype if on_cpu else profile.dtype) if chosen == "auto" else chosen
    vae = "float32" if on_cpu or "float32" in (dtype, profile.vae_dtype) else dtype
    return getattr(torch, dtype), getattr(torch, vae)


def _load(config: Config, sampling: Sampling, info: ModelInfo, device: torch.device) -> DiffusionPipeline:
    dtype, vae_dtype = _dtypes(config, sampling.profile, device)
    pipeline = (
        EmbeddedPipeline.load(sampling.folder, dtype=dtype)
        if sampling.folder
        else _load_pipeline(config, sampling, info, dtype, vae_dtype)
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    if config.images.compile:
        pipeline.unet.compile_repeated_blocks(fullgraph=True)
    return pipeline


def _load_pipeline(
    config: Config, sampling: Sampling, info: ModelInfo, dtype: torch.dtype, vae_dtype: torch.dtype
) -> DiffusionPipeline:
    """A pipeline of the hub or a folder, with the profile's scheduler."""
    profile, name = sampling.profile, sampling.model
    diffusers.utils.logging.disable_progress_bar()  # stderr belongs to the stage's own progress
    logging.disable_progress_bar()
    weights = fetch_weights(config, info, LineReporter())
    source = name if weights is None else str(weights_folder(weights))
    arguments: dict[str, str | bool | None] = {"variant": weights.variant if weights else None}
    if profile.safety_checker and not sampling.safety_checker:
        arguments |= {"safety_checker": None, "requires_safety_checker": False}
    dtypes = {"default": dtype, "vae": vae_dtype}
    try:
        pipeline = DiffusionPipeline.from_pretrained(source, dtype=dtypes, use_safetensors=True, **arguments)
    except (OSError, ValueError) as error:
        raise hub.load_error(error, name, "give a hub name or a diffusers folder") from error
    if sampling.safety_checker and getattr(pipeline, "safety_checker", None) is None:
        raise ModelError(
            f"images.safety_checker=true, but {name} carries none; set it to false or use a model that has one"
        )
    scheduler = getattr(diffusers, profile.scheduler)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **profile.scheduler_kwargs)
    if profile.native_size >= 1024:
        pipeline.vae.enable_slicing()  # decoding a batch of 1024 px needs more memory than denoising it
    return pipeline


class DiffusersModel:
    """A pipeline and its sampling settings.

    Results are a function of (prompts, seeds, guidance, encoded) on one machine.
    """

    def __init__(self, pipeline: DiffusionPipeline, sampling: Sampling, info: ModelInfo):
        self.pipeline, self.sampling, self.info = pipeline, sampling, info
        self.device = pipeline.device
        self.dtype = str(pipeline.unet.dtype).removeprefix("torch.")
        self._tokenizing = Lock()  # fast tokenizers refuse two threads at once
        self.seconds = {"text": 0.0, "denoise": 0.0, "decode": 0.0, "copy": 0.0}  # as seen by the caller

    @classmethod
    def load(cls, config: Config, device: str | torch.device, info: ModelInfo) -> "DiffusersModel":
        """Load the weights. Raises UsageError for a setting that the profile ignores, ModelError."""
        sampling = resolve_sampling(config.images)
        return cls(_load(config, sampling, info, torch.device(device)), sampling, info)

    def find_truncated(self, prompts: list[str]) -> set[str]:
        """Find the prompts that are longer than the first text encoder takes; their ends are ignored."""
        tokenizer = self.pipeline.tokenizer
        with self._tokenizing:
            lengths = tokenizer(prompts, truncation=False, padding=False, verbose=False)["input_ids"]
        return {prompt for prompt, ids in zip(prompts, lengths, strict=True) if len(ids) > tokenizer.model_max_length}

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> dict[str, dict[str, torch.Tensor]]:
        """Encode texts together: {text: the pipeline's embedding arguments} on the CPU.

        Encoded with other texts, a text can differ in the last bits.
        """
        start = time.perf_counter()
        unique = list(dict.fromkeys(texts))
        with self._tokenizing:
            answer = self.pipeline.encode_prompt(
                unique, device=self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
            )
        rows = {"prompt_embeds": answer[0].cpu()}
        if len(answer) == 4:  # SDXL: (embeds, negative, pooled, negative pooled)
            rows["pooled_prompt_embeds"] = answer[2].cpu()
        self._add_seconds("text", time.perf_counter() - start)
        return {text: {name: row[n : n + 1] for name, row in rows.items()} for n, text in enumerate(unique)}

    @cached_property
    def _unconditional(self) -> dict[str, torch.Tensor]:
        arguments = {"do_classifier_free_guidance": True, "negative_prompt": self.sampling.negative_prompt}
        with self._tokenizing:
            answer = self.pipeline.encode_prompt("", device=self.device, num_images_per_prompt=1, **arguments)
        rows = {"negative_prompt_embeds": answer[1]}
        return rows | ({"negative_pooled_prompt_embeds": answer[3]} if len(answer) == 4 else {})

    @torch.inference_mode()
    def generate(
        self, prompts: list[str], seeds: list[int], *, guidance_scale: list[float], encoded: dict | None = None
    ) -> Generated:
        """Generate one image per prompt, each from its own CPU generator.

        guidance_scale: one value for the batch, repeated; 1 and below: none. encoded: of `encode`; None encodes the
        batch's own. Raises torch.OutOfMemoryError, also for the CPU's allocator.
        """
        encoded = encoded or self.encode(prompts)
        names = encoded[prompts[0]]
        arguments = {name: torch.cat([encoded[p][name] for p in prompts]).to(self.device) for name in names}
        if guidance_scale[0] > 1:
            arguments |= {name: row.expand(len(prompts), *row.shape[1:]) for name, row in self._unconditional.items()}
        try:
            start = time.perf_counter()
            latents = self._denoise(arguments, seeds, guidance_scale[0])
            denoised = self._now()
            pixels = self._decode(latents)
            flagged = self._check_safety(pixels)
            decoded = self._now()
            pixels = pixels.float().cpu()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" not in str(error):
                raise
            raise torch.OutOfMemoryError(first_line(error)) from error
        self._add_seconds("denoise", denoised - start)
        self._add_seconds("decode", decoded - denoised)
        self._add_seconds("copy", time.perf_counter() - decoded)
        return Generated(pixels, flagged)

    def _add_seconds(self, phase: str, seconds: float) -> None:
        self.seconds[phase] += seconds
        telemetry.phase(phase, seconds)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _denoise(self, arguments: dict[str, torch.Tensor], seeds: list[int], guidance_scale: float) -> torch.Tensor:
        # `__call__` by name, since the base class of pipelines declares none
        common = {  # the generators: ancestral samplers go on drawing from them
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "guidance_scale": guidance_scale,
            "num_inference_steps": self.sampling.num_inference_steps,
        }
        if self.sampling.embedded:
            return self.pipeline.__call__(**arguments, **common)
        size = {"width": self.sampling.width, "height": self.sampling.height}
        common |= size | {"output_type": "latent", "callback_on_step_end": _beat_each_step}
        return self.pipeline.__call__(**arguments, **common).images

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents to pixels, not clamped: diffusers' own post-processing would turn an overflow into plain white."""
        if self.sampling.embedded:
            return self.pipeline.decode(latents)
        vae = self.pipeline.vae
        return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0] / 2 + 0.5

    def _check_safety(self, pixels: torch.Tensor) -> list[bool]:
        if not self.sampling.safety_checker:
            return [False] * len(pixels)
        images = (pixels.nan_to_num() * 2 - 1).clamp(-1, 1)
        return [bool(flag) for flag in self.pipeline.run_safety_checker(images, self.device, self.pipeline.dtype)[1]]
