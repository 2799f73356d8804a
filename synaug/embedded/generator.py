"""The embedded text-to-image pipeline: 32 x 32 RGB on a CPU, a UNet on 2x2-unshuffled pixels, MiniLM for the text."""

from pathlib import Path

import torch
import torch.nn.functional as F

# By the modules that define them: the lazy names of `diffusers` itself mean nothing to a type checker.
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

from synaug.embedded.minilm import shared_encoder
from synaug.errors import ModelError

WIDTH = 384  # of a sentence embedding


class EmbeddedPipeline(DiffusionPipeline):
    """A pipeline called as diffusers' own are.

    The flow runs from noise at t = 1 to x, the pixels in [-1, 1] unshuffled to (12, 16, 16).
    """

    unet: UNet2DConditionModel
    scheduler: DPMSolverMultistepScheduler

    def __init__(self, unet: UNet2DConditionModel, scheduler: DPMSolverMultistepScheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @classmethod
    def load(cls, folder: Path, *, dtype: torch.dtype = torch.float32) -> "EmbeddedPipeline":
        """Load from unet/ and scheduler/ in `folder`. Raises ModelError when they are not there."""
        if not (folder / "unet" / "config.json").exists():
            raise ModelError(
                f"the embedded generator's weights are missing in {folder}; install synaug whole, or train them from a "
                f"checkout: python -m recipes.generator --out {folder}"
            )
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=dtype).eval()
        return cls(unet, DPMSolverMultistepScheduler.from_pretrained(folder / "scheduler"))

    @property
    def tokenizer(self):
        return shared_encoder().tokenizer

    def encode_prompt(
        self, prompt, device=None, num_images_per_prompt=1, do_classifier_free_guidance=False, negative_prompt=None
    ):
        """Encode texts to (n, 384) of length sqrt(384), and '' for guidance. There is no negative prompt.

        The signature is that of diffusers' pipelines; device, num_images_per_prompt and negative_prompt change nothing.
        """
        embeds = shared_encoder().encode([prompt] if isinstance(prompt, str) else prompt) * WIDTH**0.5
        unconditional = shared_encoder().encode([""]) * WIDTH**0.5 if do_classifier_free_guidance else None
        return embeds, unconditional

    @torch.inference_mode()
    def __call__(
        self,
        *,
        prompt_embeds: torch.Tensor,
        negative_prompt_embeds: torch.Tensor | None = None,
        num_inference_steps: int = 12,
        guidance_scale: float = 1.0,
        generator: list[torch.Generator],
    ) -> torch.Tensor:
        """Sample x of each embedding, (n, 12, 16, 16) float32; an image's noise comes from its own generator.

        negative_prompt_embeds: (1, 384), needed where guidance_scale is above 1.
        """
        n = len(prompt_embeds)
        noise = torch.stack([torch.randn(12, 16, 16, generator=own) for own in generator])
        condition = prompt_embeds.to(self.device, self.unet.dtype)
        guided = guidance_scale > 1
        if guided:
            if negative_prompt_embeds is None:
                raise ValueError("guidance above 1 needs negative_prompt_embeds; encode_prompt gives them")
            condition = torch.cat([negative_prompt_embeds.to(condition).expand(n, -1), condition])
        x = noise.to(self.device, torch.float32)
        states = torch.zeros(len(condition), 1, WIDTH, device=self.device, dtype=self.unet.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=self.device)
        for t in self.scheduler.timesteps:
            noisy = (torch.cat([x, x]) if guided else x).to(self.unet.dtype)
            flow = self.unet(noisy, t, states, class_labels=condition).sample.float()
            if guided:
                unconditional, conditional = flow.chunk(2)
                flow = unconditional + guidance_scale * (conditional - unconditional)
            (x,) = self.scheduler.step(flow, t, x, return_dict=False)
        return x

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode (n, 12, 16, 16) to pixels (n, 3, 32, 32), nominally in [0, 1]."""
        return F.pixel_shuffle(latents.float(), 2) / 2 + 0.5
