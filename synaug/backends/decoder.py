"""What is watched of a pipeline's decoder: images that are not finite, and when decoding began.

Diffusers clamps what its decoders give: infinities become black and white, and only NaN survives. So the raw output is
looked at inside the pipeline's own call.
"""

from collections.abc import Callable
from typing import Any

import torch

SLICE_PIXELS = (
    2 << 20
)  # decoded together: 8 images of 512 pixels, 2 of 1024; a batch takes more memory than denoising it


class WatchedDecoder:
    """Stands in for `vae.decode`, in slices of a size that fits; `take_finite` tells of the images since the last call.

    began: called before the first slice of a batch.
    """

    def __init__(self, vae: Any, *, pixels: int, began: Callable[[], None] = lambda: None):
        """pixels: width times height of an image."""
        self._vae, self._decode, self._began = vae, vae.decode, began
        self._slice = max(1, SLICE_PIXELS // pixels)
        self._finite: list[torch.Tensor] = []
        self._raw: torch.Tensor | None = None
        vae.decode = self
        if hasattr(vae, "decoder"):  # the VAEs of videos clamp within decode
            vae.decoder.register_forward_hook(self._see_raw)

    def _see_raw(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        finite = output.flatten(1).isfinite().all(1)
        self._raw = finite if self._raw is None or len(self._raw) != len(finite) else self._raw & finite

    def __call__(self, latents: torch.Tensor, *arguments: Any, **settings: Any) -> Any:
        self._began()
        # diffusers casts in few of its pipelines, and denoiser and decoder may be of different types
        latents = latents.to(self._vae.dtype)
        outputs, samples = [], []
        for part in latents.split(self._slice):
            self._raw = None
            outputs.append(self._decode(part, *arguments, **settings))
            samples.append(outputs[-1][0])
            finite = samples[-1].flatten(1).isfinite().all(1)
            self._finite.append(finite if self._raw is None or len(self._raw) != len(finite) else finite & self._raw)
        sample = torch.cat(samples) if len(samples) > 1 else samples[0]
        return (sample,) if isinstance(outputs[0], tuple) else type(outputs[0])(sample)

    def take_finite(self) -> torch.Tensor | None:
        """Return which images were finite, (n,) bool on the decoder's device; None where it decoded nothing."""
        finite, self._finite = self._finite, []
        return torch.cat(finite) if finite else None
