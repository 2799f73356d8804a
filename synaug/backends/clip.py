"""The run's CLIP: one of open_clip, or the embedded one (a small image tower on MiniLM).

open_clip is imported by what loads its weights: a run with the embedded CLIP starts without it.
"""

import functools

import torch
from PIL import Image

from synaug.backends import hub
from synaug.backends.devices import find_device
from synaug.backends.protocols import CLIP
from synaug.backends.resolve import HUB_PREFIX, resolve_clip
from synaug.config import Config
from synaug.embedded.clip import EmbeddedCLIP
from synaug.run.plan import ModelInfo

BATCH = 256


def open_clip_model(config: Config) -> CLIP:
    """Open the run's CLIP, once per process; the embedded one runs on the CPU.

    Raises ModelError; UsageError for a device that is not there.
    """
    settings, info = config.prompts.clip, resolve_clip(config).model_dump_json()
    if settings.model == "embedded":
        return _load_embedded(info)
    return _load_open_clip(settings.model, settings.pretrained, info, str(find_device(config.compute.device)))


@functools.cache
def _load_embedded(info: str) -> EmbeddedCLIP:
    return EmbeddedCLIP(ModelInfo.model_validate_json(info))


@functools.cache
def _load_open_clip(model: str, pretrained: str | None, info: str, device: str) -> "OpenCLIP":
    return OpenCLIP(ModelInfo.model_validate_json(info), model, pretrained, device)


def pin_weights(model: str, pretrained: str | None, revision: str) -> tuple[str, dict]:
    """Return model and arguments of create_model_and_transforms that load weights of the hub at `revision`.

    open_clip itself takes the newest.
    """
    from huggingface_hub import snapshot_download
    from open_clip.pretrained import download_pretrained_from_hf, get_pretrained_cfg

    if model.startswith(HUB_PREFIX):
        name = model.removeprefix(HUB_PREFIX)
        files = ["*.json", "*.txt", "*.model", "open_clip_model.safetensors"]
        return f"local-dir:{snapshot_download(name, revision=revision, allow_patterns=files)}", {}
    tag = (get_pretrained_cfg(model, pretrained) if pretrained else None) or {}
    if not tag.get("hf_hub"):
        return model, {"pretrained": pretrained}
    name, _, file = tag["hf_hub"].rpartition("/")
    path = download_pretrained_from_hf(name, filename=file or None, revision=revision)
    # a file, unlike a tag, says nothing of how its images are prepared
    prepared = {
        f"image_{key}": tag[key] for key in ("mean", "std", "interpolation", "resize_mode") if tag.get(key) is not None
    }
    return model, {"pretrained": path} | prepared


class OpenCLIP:
    """A model of open_clip, behind `protocols.CLIP`."""

    def __init__(self, info: ModelInfo, model: str, pretrained: str | None, device: str):
        import open_clip

        self.info, self.device = info, device
        try:
            model, weights = pin_weights(model, pretrained, info.revision)
            self.model, _, self.transform = open_clip.create_model_and_transforms(model, **weights, device=device)
            self.tokenizer = open_clip.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise hub.load_error(error, f"CLIP {info.name}", "check prompts.clip, or take `embedded`") from error
        self.model.eval()

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Embed texts to (n, d) float32 of unit length, on the CPU."""
        tokens = [self.tokenizer(texts[n : n + BATCH]).to(self.device) for n in range(0, len(texts), BATCH)]
        chunks = [self.model.encode_text(chunk, normalize=True) for chunk in tokens]
        return torch.cat(chunks).float().cpu()

    @torch.inference_mode()
    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Embed PIL images to (n, d) float32 of unit length, on the CPU."""
        chunks = []
        for n in range(0, len(images), BATCH):
            pixels = torch.stack([self.transform(image.convert("RGB")) for image in images[n : n + BATCH]])
            chunks.append(self.model.encode_image(pixels.to(self.device), normalize=True).float().cpu())
        return torch.cat(chunks)
