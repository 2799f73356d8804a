"""CLIP of open_clip, or the embedded one (a small image tower on MiniLM)."""

import functools

import torch
import torch.nn.functional as F

from synaug.backends import hub
from synaug.backends.clip_name import EMBEDDED, HUB_PREFIX, resolve
from synaug.backends.devices import find_device
from synaug.config import Config
from synaug.run.plan import ModelInfo

BATCH = 256


def open_clip_model(config: Config) -> "EmbeddedCLIP | OpenCLIP":
    """The run's CLIP, once a process; the embedded one runs on the CPU. Raises ModelError; UsageError for a device that is not there."""
    settings = config.prompts.clip
    if settings.model == "embedded":
        return _embedded(resolve(config).revision)
    device = find_device(config.compute.device)
    return _open_clip(settings.model, settings.pretrained, resolve(config).model_dump_json(), str(device))


@functools.cache
def _embedded(revision: str) -> "EmbeddedCLIP":
    return EmbeddedCLIP(ModelInfo(role="clip", name="synaug embedded CLIP", revision=revision, license="Apache-2.0"))


@functools.cache
def _open_clip(model: str, pretrained: str | None, info: str, device: str) -> "OpenCLIP":
    return OpenCLIP(ModelInfo.model_validate_json(info), model, pretrained, device)


class EmbeddedCLIP:
    """32x32 images against sentences; trained by recipes/clip.py."""

    def __init__(self, info: ModelInfo):
        from safetensors.torch import load_file

        from synaug.embedded.image_tower import ImageTower
        from synaug.embedded.minilm import shared

        self.info = info
        stored = load_file(EMBEDDED / "model.safetensors")
        weights = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
        self.text_mean = weights.pop("text_mean")
        self.tower = ImageTower()
        self.tower.load_state_dict({key.removeprefix("image."): value for key, value in weights.items()})
        self.tower.eval()
        self.sentences = shared()

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        return F.normalize(self.sentences.encode(texts) - self.text_mean, dim=-1)

    @torch.inference_mode()
    def embed_images(self, images: list) -> torch.Tensor:
        chunks = [
            torch.stack([self._pixels(image) for image in images[n : n + BATCH]]) for n in range(0, len(images), BATCH)
        ]
        return torch.cat([F.normalize(self.tower(chunk), dim=-1) for chunk in chunks])

    def _pixels(self, image) -> torch.Tensor:
        import numpy as np
        from PIL import Image

        from synaug.embedded.image_tower import SIZE

        image = image.convert("RGB")
        if image.size != (SIZE, SIZE):
            image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1) / 127.5 - 1


def pinned(model: str, pretrained: str | None, revision: str) -> tuple[str, dict]:
    """Model and arguments of create_model_and_transforms that load weights of the hub at `revision`; open_clip itself takes the newest."""
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
    def __init__(self, info: ModelInfo, model: str, pretrained: str | None, device: str):
        import open_clip

        self.info, self.device = info, device
        try:
            model, weights = pinned(model, pretrained, info.revision)
            self.model, _, self.transform = open_clip.create_model_and_transforms(model, **weights, device=device)
            self.tokenizer = open_clip.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise hub.load_error(error, f"CLIP {info.name}", "check prompts.clip, or take `embedded`") from error
        self.model.eval()

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        tokens = [self.tokenizer(texts[n : n + BATCH]).to(self.device) for n in range(0, len(texts), BATCH)]
        chunks = [self.model.encode_text(chunk, normalize=True) for chunk in tokens]
        return torch.cat(chunks).float().cpu()

    @torch.inference_mode()
    def embed_images(self, images: list) -> torch.Tensor:
        chunks = []
        for n in range(0, len(images), BATCH):
            pixels = torch.stack([self.transform(image.convert("RGB")) for image in images[n : n + BATCH]])
            chunks.append(self.model.encode_image(pixels.to(self.device), normalize=True).float().cpu())
        return torch.cat(chunks)
