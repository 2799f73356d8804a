"""CLIP of open_clip, or the embedded one (a small image tower on MiniLM)."""

import functools
import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F

from synaug.backends import hub
from synaug.config import Config
from synaug.devices import find_device
from synaug.errors import ModelError
from synaug.frozen import ModelInfo

EMBEDDED = Path(__file__).parent.parent / "embedded" / "clip"
BATCH = 256


def resolve(config: Config) -> ModelInfo:
    """Name, revision and licence of the run's CLIP; no weights are loaded. Raises ModelError."""
    settings = config.prompts.clip
    if settings.model == "embedded":
        revision = _file_digest(EMBEDDED / "model.safetensors")
        return ModelInfo(role="clip", name="synaug embedded CLIP", revision=revision, license="Apache-2.0")
    name = settings.model if settings.pretrained is None else f"{settings.model} {settings.pretrained}"
    revision, license = _resolve_open_clip(settings)
    return ModelInfo(role="clip", name=name, revision=revision, license=license)


def open_clip_model(config: Config) -> "EmbeddedCLIP | OpenCLIP":
    """The run's CLIP, once a process; the embedded one runs on the CPU. Raises ModelError; UsageError for a device that is not there."""
    settings = config.prompts.clip
    if settings.model == "embedded":
        return _embedded(resolve(config).revision)
    device = find_device(config.compute.device)
    return _open_clip(settings.model, settings.pretrained, resolve(config).model_dump_json(), str(device))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _resolve_open_clip(settings) -> tuple[str, str]:
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if settings.model.startswith(open_clip.factory.HF_HUB_PREFIX):
        return hub.resolve(settings.model.removeprefix(open_clip.factory.HF_HUB_PREFIX), settings.revision, role="clip")
    if settings.model not in open_clip.list_models():
        near = _near(settings.model, open_clip.list_models())
        raise ModelError(f"prompts.clip.model: open_clip has no {settings.model!r}; did you mean {near}, or `embedded`?")
    if settings.pretrained and Path(settings.pretrained).is_file():
        return _file_digest(Path(settings.pretrained)), "see the file"
    tags = open_clip.list_pretrained_tags_by_model(settings.model)
    weights = get_pretrained_cfg(settings.model, settings.pretrained) if settings.pretrained in tags else None
    if not weights:
        known = ", ".join(tags)
        raise ModelError(f"prompts.clip.pretrained: {settings.model} has no weights {settings.pretrained!r}; give a file or one of {known}")
    if weights.get("hf_hub"):
        return hub.resolve(weights["hf_hub"].rstrip("/"), settings.revision, role="clip")
    return f"open_clip {open_clip.__version__} {settings.pretrained}", "see open_clip"


def _near(name: str, names: list[str]) -> str:
    from rapidfuzz import process

    return repr(process.extractOne(name, names)[0])


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
        from synaug.embedded.sentences import shared

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
        chunks = [torch.stack([self._pixels(image) for image in images[n : n + BATCH]]) for n in range(0, len(images), BATCH)]
        return torch.cat([F.normalize(self.tower(chunk), dim=-1) for chunk in chunks])

    def _pixels(self, image) -> torch.Tensor:
        import numpy as np
        from PIL import Image

        from synaug.embedded.image_tower import SIZE

        image = image.convert("RGB")
        if image.size != (SIZE, SIZE):
            image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1) / 127.5 - 1


class OpenCLIP:
    def __init__(self, info: ModelInfo, model: str, pretrained: str | None, device: str):
        import open_clip

        self.info, self.device = info, device
        try:
            self.model, _, self.transform = open_clip.create_model_and_transforms(model, pretrained=pretrained, device=device)
            self.tokenizer = open_clip.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"CLIP {info.name} cannot be loaded: {reason}; check prompts.clip, or take `embedded`") from error
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
