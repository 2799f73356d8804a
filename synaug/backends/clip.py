"""The run's CLIP: one of open_clip, or the embedded one (a small image tower on MiniLM).

open_clip is imported by what loads its weights: a run with the embedded CLIP starts without it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from synaug.backends import hub
from synaug.backends.devices import find_device
from synaug.backends.memory import hold
from synaug.backends.protocols import CLIP
from synaug.backends.resolve import resolve_clip
from synaug.backends.weights import HUB_PREFIX, fetch_weights, weights_folder
from synaug.config import Config
from synaug.embedded.clip import EmbeddedCLIP
from synaug.run.plan import ModelInfo
from synaug.run.progress import LineReporter

BATCH = 256


def open_clip_model(config: Config) -> CLIP:
    """Open the run's CLIP, once per process; the embedded one runs on the CPU.

    Raises ModelError; UsageError for a device that is not there.
    """
    settings, info = config.prompts.clip, resolve_clip(config)
    if settings.model == "embedded":
        return hold("clip", info, lambda: EmbeddedCLIP(info))
    device = str(find_device(config.compute.device))
    key = (settings.model, settings.pretrained, info, device)
    return hold("clip", key, lambda: OpenCLIP.load(config, info, device))


def pin_weights(config: Config, info: ModelInfo) -> tuple[str, dict[str, Any]]:
    """Return model and arguments of create_model_and_transforms that load the weights of `info`, fetched if need be.

    open_clip itself takes the hub's newest.
    """
    from open_clip.pretrained import get_pretrained_cfg

    model, pretrained = config.prompts.clip.model, config.prompts.clip.pretrained
    weights = fetch_weights(config, info, LineReporter())
    if model.startswith(HUB_PREFIX):
        assert weights is not None  # of a hub model
        return f"local-dir:{weights_folder(weights)}", {}
    tag = (get_pretrained_cfg(model, pretrained) if pretrained else None) or {}
    if weights is not None:
        pretrained = str(weights_folder(weights) / next(iter(weights.files)))
    return model, {"pretrained": pretrained} | tag_arguments(tag)


def tag_arguments(tag: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of create_model_and_transforms that say of a file what its tag says.

    Given by path, weights lose how their images are prepared; open_clip applies a tag's quick_gelu in neither case: it
    warns by tag, and by path it is silent.
    """
    keys = ("mean", "std", "interpolation", "resize_mode")
    prepared = {f"image_{key}": tag[key] for key in keys if tag.get(key) is not None}
    return prepared | ({"force_quick_gelu": True} if tag.get("quick_gelu") else {})


def choose_precision(device: torch.device) -> str:
    """Choose open_clip's precision: 16 bits on a GPU, where a large CLIP would hold up the images.

    Its mixed kind, whose layer norms stay in float32. bfloat16 has float32's range; GPUs before Ampere only emulate it.
    """
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


class OpenCLIP:
    """A model of open_clip, behind `protocols.CLIP`."""

    def __init__(self, info: ModelInfo, model: str, weights: dict[str, Any], device: str | torch.device):
        """weights: arguments of create_model_and_transforms. Raises ModelError, TransientError."""
        import open_clip

        self.info, self.device = info, torch.device(device)
        precision = choose_precision(self.device)
        try:
            self.model, _, self.transform = open_clip.create_model_and_transforms(
                model, **weights, device=self.device, precision=precision
            )
            self.tokenizer = open_clip.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise hub.load_error(error, f"CLIP {info.name}", "check prompts.clip, or take `embedded`") from error
        self.model.eval()
        # of images; tokens are whole numbers
        self.dtype = open_clip.get_input_dtype(precision) or torch.float32

    @classmethod
    def load(cls, config: Config, info: ModelInfo, device: str | torch.device) -> "OpenCLIP":
        """Fetch and load the run's CLIP. Raises ModelError, TransientError, DataError for a disk that is full."""
        model, weights = pin_weights(config, info)
        return cls(info, model, weights, device)

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Embed texts to (n, d) float32 of unit length, on the CPU."""
        tokens = [self.tokenizer(texts[n : n + BATCH]).to(self.device) for n in range(0, len(texts), BATCH)]
        return _unit_length([self.model.encode_text(chunk) for chunk in tokens])

    @torch.inference_mode()
    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Embed PIL images to (n, d) float32 of unit length, on the CPU."""
        chunks = []
        for n in range(0, len(images), BATCH):
            pixels = torch.stack([self.transform(image.convert("RGB")) for image in images[n : n + BATCH]])
            chunks.append(self.model.encode_image(pixels.to(self.device, self.dtype)))
        return _unit_length(chunks)


def _unit_length(chunks: list[torch.Tensor]) -> torch.Tensor:
    """In float32, whatever the model's type: rounded after it, lengths would be off by up to 0.4%."""
    return functional.normalize(torch.cat(chunks).float(), dim=-1).cpu()
