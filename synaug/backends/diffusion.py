"""Text-to-image models: any pipeline of diffusers, and the embedded one, behind `protocols.Diffusion`."""

import inspect
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from threading import Lock, RLock
from typing import Any

import diffusers
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from transformers.utils import logging as transformers_logging

from synaug import telemetry
from synaug.backends import hub
from synaug.backends.decoder import WatchedDecoder
from synaug.backends.families import Family, family_of_call, is_image_to_image
from synaug.backends.levers import apply_levers, restart_step_cache
from synaug.backends.memory import hold
from synaug.backends.profiles import Sampling, resolve_sampling
from synaug.backends.protocols import Generated
from synaug.backends.resolve import resolve_diffusion, with_pipeline
from synaug.backends.weights import fetch_weights, weights_folder
from synaug.config import Config
from synaug.embedded.generator import EmbeddedPipeline
from synaug.errors import ModelError, UsageError, first_line
from synaug.run.plan import ModelInfo
from synaug.run.progress import LineReporter

logger = logging.getLogger(__name__)
FREE = {"self", "prompt", "negative_prompt", "device", "num_images_per_prompt", "do_classifier_free_guidance"}


def open_diffusion(config: Config, device: str | torch.device) -> "DiffusersModel":
    """Open the run's diffusion model, once per process.

    Raises UsageError for a setting that the model ignores, ModelError when it cannot be loaded.
    """
    config = with_pipeline(config)
    info = resolve_diffusion(config)
    key = (config.images.model_dump_json(), info, str(device))
    model = hold("diffusion", key, lambda: DiffusersModel.load(config, device, info))
    model.restart_clock()
    return model


def _beat_each_step(*step) -> dict:
    """On a CPU a batch of a large model can take longer than a stage may stall."""
    telemetry.beat()
    return {}


def choose_dtypes(config: Config, sampling: Sampling, device: torch.device) -> tuple[torch.dtype, torch.dtype]:
    """Choose the types of the denoiser and of the VAE.

    An explicit images.dtype keeps the family's type of the VAE where that has more range or digits.
    """
    on_cpu = device.type == "cpu"
    chosen, family = config.images.dtype, sampling.family
    dtype = (sampling.profile.cpu_dtype if on_cpu else family.dtype) if chosen == "auto" else chosen
    vae = family.vae_dtype if dtype == "float16" else dtype
    if on_cpu or "float32" in (dtype, family.vae_dtype):
        vae = "float32"
    return getattr(torch, dtype), getattr(torch, vae)


def _load(config: Config, sampling: Sampling, info: ModelInfo, device: torch.device) -> DiffusionPipeline:
    dtype, vae_dtype = choose_dtypes(config, sampling, device)
    pipeline = (
        EmbeddedPipeline.load(sampling.folder, dtype=dtype)
        if sampling.folder
        else _load_pipeline(config, sampling, info, dtype, vae_dtype)
    )
    pipeline.set_progress_bar_config(disable=True)
    place(pipeline, device, config.images.offload)
    telemetry.beat()
    if not sampling.embedded:
        apply_levers(pipeline, denoiser_of(pipeline), config.images, sampling)
    return pipeline


def place(pipeline: DiffusionPipeline, device: torch.device, offload: str) -> None:
    """Move a pipeline to its device, or leave there what only comes when it is used.

    Sets explicitly what torch's defaults leave to its version: the float32 parts (a VAE, norms) in TF32, and cuDNN
    choosing its kernels by trial, since few shapes occur.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if offload == "none" or device.type == "cpu":
        pipeline.to(device)
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def denoiser_of(pipeline: Any) -> Any:
    """Return the network that is called at each step: `unet`, or `transformer`."""
    return pipeline.unet if getattr(pipeline, "unet", None) is not None else pipeline.transformer


def _load_pipeline(
    config: Config, sampling: Sampling, info: ModelInfo, dtype: torch.dtype, vae_dtype: torch.dtype
) -> DiffusionPipeline:
    """A pipeline of the hub or a folder, with the profile's scheduler where it has one."""
    profile, name = sampling.profile, sampling.model
    diffusers.utils.logging.disable_progress_bar()  # stderr belongs to the stage's own progress
    transformers_logging.disable_progress_bar()
    weights = fetch_weights(config, info, LineReporter())
    source = name if weights is None else str(weights_folder(weights))
    arguments: dict[str, Any] = {"variant": weights.variant if weights else None}
    if profile.family.safety_checker and not sampling.safety_checker:
        arguments |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    dtypes = {"default": dtype, "vae": vae_dtype}
    try:
        pipeline = DiffusionPipeline.from_pretrained(source, dtype=dtypes, use_safetensors=True, **arguments)
    except (OSError, ValueError, AttributeError) as error:
        raise hub.load_error(error, name, "give a hub name or a diffusers folder of a text-to-image model") from error
    if sampling.safety_checker and getattr(pipeline, "safety_checker", None) is None:
        raise ModelError(
            f"images.safety_checker=true, but {name} carries none; set it to false or use a model that has one"
        )
    if profile.scheduler:
        scheduler = getattr(diffusers, profile.scheduler)
        try:
            pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **profile.scheduler_kwargs)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"{name} does not fit images.profile={profile.name}: {first_line(error)}") from error
    return pipeline


class DiffusersModel:
    """A pipeline and its sampling settings.

    Results are a function of (prompts, seeds, guidance, encoded) on one machine.
    """

    def __init__(
        self, pipeline: Any, sampling: Sampling, info: ModelInfo, *, device: torch.device, shared: bool = False
    ):
        """shared: offloaded components move while they are used, so that texts are not embedded beside a batch.

        Raises ModelError for a pipeline that is not text-to-image, UsageError for a setting that it would ignore.
        """
        self.pipeline, self.sampling, self.info, self.device = pipeline, sampling, info, device
        self.dtype = str(denoiser_of(pipeline).dtype).removeprefix("torch.")
        self._parameters = {
            name: parameter.default for name, parameter in inspect.signature(type(pipeline).__call__).parameters.items()
        }
        self.family = sampling.family
        if not self.family.known:
            self.family = self._describe_unknown()
        self._tokenizing = Lock()  # fast tokenizers refuse two threads at once
        self._alone: Any = RLock() if shared else nullcontext()
        self._marks: list[Any] = []
        self._decoder: WatchedDecoder | None = None
        if not sampling.embedded:
            self._refuse_what_it_lacks()
            if hasattr(getattr(pipeline, "vae", None), "decode"):
                pixels = sampling.width * sampling.height
                self._decoder = WatchedDecoder(pipeline.vae, pixels=pixels, began=self._mark)
        self.restart_clock()

    @classmethod
    def load(cls, config: Config, device: str | torch.device, info: ModelInfo) -> "DiffusersModel":
        """Load the weights. Raises UsageError for a setting that the model ignores, ModelError."""
        sampling, place_at = resolve_sampling(config.images), torch.device(device)
        pipeline = _load(config, sampling, info, place_at)
        return cls(pipeline, sampling, info, device=place_at, shared=config.images.offload != "none")

    def restart_clock(self) -> None:
        """Begin to count `seconds` anew: a process holds the model through several tasks."""
        self.seconds = {"text": 0.0, "denoise": 0.0, "decode": 0.0, "copy": 0.0}  # as seen by the caller

    def _describe_unknown(self) -> Family:
        name = type(self.pipeline).__name__
        logger.warning(
            "%s: nothing is known of pipeline %s but its call's own defaults: whether it guides above 1, pads prompts "
            "to one length and seeds each image by itself was not checked; look at `synaug preview`",
            self.sampling.model,
            name,
        )
        return family_of_call(name, self._parameters)

    def _refuse_what_it_lacks(self) -> None:
        name, sampling = type(self.pipeline).__name__, self.sampling
        if "prompt" not in self._parameters or is_image_to_image(name):
            raise ModelError(
                f"{sampling.model} is a {name}, which makes no images from prompts alone; give images.model a "
                "text-to-image model"
            )
        if sampling.negative_prompt and not {"negative_prompt", "negative_prompt_embeds"} & self._parameters.keys():
            raise UsageError(
                f"images.negative_prompt={sampling.negative_prompt!r} would be ignored: {name} has none; leave it out"
            )
        if "generator" not in self._parameters:
            raise ModelError(f"{sampling.model}: {name} takes no generator, so that its images would have no seeds")

    def find_truncated(self, prompts: list[str]) -> set[str]:
        """Find the prompts that are longer than the first text encoder takes; their ends are ignored."""
        tokenizer = getattr(self.pipeline, "tokenizer", None)
        if tokenizer is None:
            return set()
        limit = min(
            self._parameters.get("max_sequence_length") or tokenizer.model_max_length, tokenizer.model_max_length
        )
        with self._tokenizing:
            lengths = tokenizer(prompts, truncation=False, padding=False, verbose=False)["input_ids"]
        return {prompt for prompt, ids in zip(prompts, lengths, strict=True) if len(ids) > limit}

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> dict[str, dict[str, Any]]:
        """Encode texts: {text: its arguments of the pipeline's call} on the CPU; empty ones where the call encodes.

        Encoded with other texts, where the family is encoded together, a text can differ in the last bits.
        """
        start = time.perf_counter()
        unique = list(dict.fromkeys(texts))
        if self.family.encodes is None:
            return {text: {} for text in unique}
        rows: dict[str, dict[str, Any]] = {}
        with self._alone:
            for group in [unique] if self.family.together else [[text] for text in unique]:
                answer = self._encode_prompts(group, guided=False)
                rows |= {text: _row(answer, n) for n, text in enumerate(group)}
        self._add_seconds("text", time.perf_counter() - start)
        return rows

    def _encode_prompts(self, texts: list[str], *, guided: bool, negative: str | None = None) -> dict[str, Any]:
        """What encode_prompt gives, by the names of the call's arguments, on the CPU."""
        names = self.family.encodes
        assert names is not None
        takes = inspect.signature(self.pipeline.encode_prompt).parameters
        arguments: dict[str, Any] = {"prompt": list(texts), "device": self.device, "num_images_per_prompt": 1}
        arguments |= {"do_classifier_free_guidance": guided}
        arguments |= {name: list(texts) for name in ("prompt_2", "prompt_3") if name in takes}
        if guided and "negative_prompt" in takes:  # its own default is None, or "" where None is not understood
            default = takes["negative_prompt"].default
            arguments["negative_prompt"] = default if negative is None else [negative] * len(texts)
        for name in takes:  # as the call would pass them on
            if name in self._parameters and name not in FREE and "prompt" not in name:
                default = self.family.fixed.get(name, self._parameters[name])
                arguments.setdefault(name, default)
        with self._tokenizing:
            answer = self.pipeline.encode_prompt(**{name: value for name, value in arguments.items() if name in takes})
        values = dict(zip(names, answer if isinstance(answer, tuple) else (answer,), strict=False))
        wanted = {n: v for n, v in values.items() if n and (guided or not n.startswith("negative_"))}
        for name, value in wanted.items():
            if value is None and name.endswith("mask"):  # of one prompt, all of it
                wanted[name] = torch.ones(wanted["prompt_embeds"].shape[:2], dtype=torch.long)
        return {name: _to(value, "cpu") for name, value in wanted.items() if value is not None}

    @property
    def _embeds_negatives(self) -> bool:
        """Whether the call takes the negative prompt as embeddings; Klein, for one, embeds its own."""
        names = self.family.encodes or ()
        return bool(names) and (self.family.negative_prompt or any(n and n.startswith("negative_") for n in names))

    @cached_property
    def _unconditional(self) -> dict[str, Any]:
        """The arguments of the negative prompt, one row each."""
        negative = self.sampling.negative_prompt or self.family.negative_default
        names = self.family.encodes
        assert names is not None
        with self._alone:
            if any(name and name.startswith("negative_") for name in names):
                both = self._encode_prompts([""], guided=True, negative=negative)
                return {
                    name: _row({name: value}, 0)[name] for name, value in both.items() if name.startswith("negative_")
                }
            own = self._encode_prompts([negative or ""], guided=False)
        return {f"negative_{name}": _row({name: value}, 0)[name] for name, value in own.items()}

    @torch.inference_mode()
    def generate(
        self, prompts: list[str], seeds: list[int], *, guidance_scale: list[float], encoded: dict | None = None
    ) -> Generated:
        """Generate one image per prompt, each from its own CPU generator.

        guidance_scale: one value for the batch, repeated. encoded: of `encode`; None encodes the batch's own. Raises
        torch.OutOfMemoryError, also for the CPU's allocator.
        """
        encoded = encoded or self.encode(prompts)
        rows = [encoded[prompt] for prompt in prompts]
        made: dict[int, tuple[torch.Tensor, bool, bool]] = {}
        try:
            with self._alone:
                for group in self._group(rows):
                    part = self._generate_group(
                        [prompts[n] for n in group],
                        [seeds[n] for n in group],
                        [rows[n] for n in group],
                        guidance_scale[0],
                    )
                    made |= dict(zip(group, zip(part.pixels, part.finite, part.flagged, strict=True), strict=True))
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" not in str(error):
                raise
            raise torch.OutOfMemoryError(first_line(error)) from error
        images = [made[n] for n in range(len(prompts))]
        return Generated(
            torch.stack([pixels for pixels, _, _ in images]),
            [finite for _, finite, _ in images],
            [flagged for _, _, flagged in images],
        )

    def _group(self, rows: Sequence[dict[str, Any]]) -> list[list[int]]:
        """The images of a batch that one call can make, in order.

        Embeddings of unequal length are padded where a mask goes with them, and go as they are where the model takes a
        list. Elsewhere padding would be read as text: a call holds prompts of one length.
        """
        if self.family.one_by_one:
            return [[n] for n in range(len(rows))]
        if self.family.lists or not rows[0] or any(name.endswith("mask") for name in rows[0]):
            return [list(range(len(rows)))]
        groups: dict[tuple, list[int]] = defaultdict(list)
        for n, row in enumerate(rows):
            groups[tuple(value.shape for value in row.values())].append(n)
        return list(groups.values())

    def _generate_group(
        self, prompts: list[str], seeds: list[int], rows: list[dict[str, Any]], guidance: float
    ) -> Generated:
        n, family = len(prompts), self.family
        guided = guidance > family.guidance_off and family.guidance is not None
        arguments: dict[str, Any] = {name: self._stack([row[name] for row in rows]) for name in rows[0]}
        if not rows[0]:
            arguments["prompt"] = list(prompts)  # a copy: Z-Image, for one, writes into its list
        elif "negative_prompt" in self._parameters:
            # its default is "" in Sana and PixArt, which refuse it beside embeddings
            arguments["negative_prompt"] = None
        negative = self.sampling.negative_prompt or family.negative_default
        if guided and self._embeds_negatives:
            arguments |= {name: self._stack([value] * n) for name, value in self._unconditional.items()}
        elif not rows[0] and negative is not None and "negative_prompt" in self._parameters:
            arguments["negative_prompt"] = [negative] * n
        self._marks = []
        if self._decoder:
            self._decoder.take_finite()  # of a call that ran out of memory
        self._mark()
        images, flagged = self._call(arguments, seeds, guidance)
        if self.sampling.embedded:
            self._mark()
            images = self.pipeline.decode(images)
            finite = images.flatten(1).isfinite().all(1)
        else:
            raw = self._decoder.take_finite() if self._decoder else None
            finite = images.flatten(1).isfinite().all(1) if raw is None else raw[:n]
        pixels = (images.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
        self._mark()
        pixels, flags = _to_host(pixels), finite.tolist()
        self._mark()
        for phase, seconds in zip(("denoise", "decode", "copy"), self._phases(), strict=True):
            self._add_seconds(phase, seconds)
        return Generated(pixels, flags, flagged or [False] * n)

    def _call(self, arguments: dict[str, Any], seeds: list[int], guidance: float) -> tuple[torch.Tensor, list[bool]]:
        """Returns images, (n, 3, H, W) in [0, 1] (latents of the embedded pipeline), and the safety checker's flags."""
        sampling, family = self.sampling, self.family
        offered: dict[str, Any] = {
            "width": sampling.width,
            "height": sampling.height,
            "output_type": "pt",
            "callback_on_step_end": _beat_each_step,
        } | dict(family.fixed)
        common = {name: value for name, value in offered.items() if name in self._parameters}
        common |= {  # generators, one an image: ancestral samplers go on drawing from them
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "num_inference_steps": sampling.num_inference_steps,
        }
        if family.guidance is not None:
            common[family.guidance] = guidance
        if not sampling.embedded:
            restart_step_cache(denoiser_of(self.pipeline))
        # by name, since the base class of pipelines declares none
        output = self.pipeline.__call__(**arguments, **common)
        if sampling.embedded:
            return output, []
        images = output.images
        images = torch.stack(list(images)) if isinstance(images, list) else images
        return images, [bool(flag) for flag in getattr(output, "nsfw_content_detected", None) or []]

    def _stack(self, rows: list[Any]) -> Any:
        """Rows of one argument as a batch on the device; unequal lengths are padded with zeros, masks with 0."""
        if self.family.lists:
            return [_to(row, self.device) for row in rows]
        longest = max(row.shape[1] for row in rows) if rows[0].dim() > 1 else 0
        if rows[0].dim() > 1 and any(row.shape[1] < longest for row in rows):
            rows = [torch.cat([row, row.new_zeros(1, longest - row.shape[1], *row.shape[2:])], dim=1) for row in rows]
        return torch.cat(rows).to(self.device)

    def _add_seconds(self, phase: str, seconds: float) -> None:
        self.seconds[phase] += seconds
        telemetry.phase(phase, seconds)

    def _mark(self) -> None:
        """Note this moment of the device's own work: on a GPU as an event, which waits for nothing."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self.device))
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def _phases(self) -> tuple[float, float, float]:
        """Seconds of denoising, decoding and the copy; the marks are start, (begin of decoding), end, copied."""
        first, *middle, end, copied = self._marks
        begin = middle[0] if middle else end
        if self.device.type == "cuda":
            copied.synchronize()
        return _seconds(first, begin), _seconds(begin, end), _seconds(end, copied)


def _seconds(begin: Any, end: Any) -> float:
    return end - begin if isinstance(begin, float) else begin.elapsed_time(end) / 1000


def _row(values: dict[str, Any], n: int) -> dict[str, Any]:
    """One text's share of an encoding; of a list its item."""
    return {name: value[n] if isinstance(value, list) else value[n : n + 1] for name, value in values.items()}


def _to(value: Any, device: str | torch.device) -> Any:
    return [item.to(device) for item in value] if isinstance(value, list) else value.to(device)


def _to_host(pixels: torch.Tensor) -> torch.Tensor:
    """Copy a batch to the CPU by one transfer into pinned memory, after which the device has nothing left to do."""
    if pixels.device.type != "cuda":
        return pixels
    host = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
    host.copy_(pixels, non_blocking=True)
    torch.cuda.current_stream(pixels.device).synchronize()
    return host
