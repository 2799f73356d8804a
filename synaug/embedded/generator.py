"""The embedded text-to-image pipeline: 32 x 32 RGB on a CPU, a UNet on 2x2-unshuffled pixels, MiniLM for the text."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler, UNet2DConditionModel

from synaug.embedded.minilm import shared
from synaug.errors import ModelError

WIDTH = 384  # of a sentence embedding


class EmbeddedPipeline(DiffusionPipeline):
    """Called as diffusers' own are; the flow runs from noise at t = 1 to x, the pixels in [-1, 1] unshuffled to (12, 16, 16)."""

    def __init__(self, unet: UNet2DConditionModel, scheduler: DPMSolverMultistepScheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @classmethod
    def load(cls, folder: Path, *, dtype: torch.dtype = torch.float32) -> "EmbeddedPipeline":
        """From unet/ and scheduler/ in `folder`. Raises ModelError when they are not there."""
        if not (folder / "unet" / "config.json").exists():
            raise ModelError(
                f"the embedded generator's weights are missing in {folder}; run `make generator`, or install synaug whole"
            )
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=dtype).eval()
        return cls(unet, DPMSolverMultistepScheduler.from_pretrained(folder / "scheduler"))

    @property
    def tokenizer(self):
        return shared().tokenizer

    def encode_prompt(
        self, prompt, device=None, num_images_per_prompt=1, do_classifier_free_guidance=False, negative_prompt=None
    ):
        """Texts to (n, 384) embeddings of length sqrt(384), and those of '' for guidance. There is no negative prompt."""
        embeds = shared().encode([prompt] if isinstance(prompt, str) else prompt) * WIDTH**0.5
        unconditional = shared().encode([""]) * WIDTH**0.5 if do_classifier_free_guidance else None
        return embeds, unconditional

    @torch.inference_mode()
    def __call__(
        self,
        *,
        prompt_embeds: torch.Tensor,
        negative_prompt_embeds: torch.Tensor | None = None,
        num_inference_steps: int = 12,
        guidance_scale: float = 1.0,
        generator: list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """x of each embedding: (n, 12, 16, 16) float32. Noise from `latents`, else one generator an image."""
        n, guided = len(prompt_embeds), guidance_scale > 1
        if latents is None:
            latents = torch.stack([torch.randn(12, 16, 16, generator=g) for g in generator])
        condition = prompt_embeds.to(self.device, self.unet.dtype)
        if guided:
            condition = torch.cat([negative_prompt_embeds.to(condition).expand(n, -1), condition])
        x = latents.to(self.device, torch.float32)
        states = torch.zeros(len(condition), 1, WIDTH, device=self.device, dtype=self.unet.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=self.device)
        for t in self.scheduler.timesteps:
            noisy = (torch.cat([x, x]) if guided else x).to(self.unet.dtype)
            flow = self.unet(noisy, t, states, class_labels=condition).sample.float()
            if guided:
                unconditional, conditional = flow.chunk(2)
                flow = unconditional + guidance_scale * (conditional - unconditional)
            x = self.scheduler.step(flow, t, x).prev_sample
        return x

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, 12, 16, 16) to pixels (n, 3, 32, 32), nominally in [0, 1]."""
        return F.pixel_shuffle(latents.float(), 2) / 2 + 0.5
