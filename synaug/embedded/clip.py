"""The embedded CLIP: a small convolutional image tower into the 384 dimensions of the MiniLM sentence encoder."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from synaug.embedded import DATA
from synaug.embedded.minilm import shared_encoder
from synaug.run.plan import ModelInfo

WEIGHTS = DATA / "clip" / "model.safetensors"
SIZE = 32  # pixels
WIDTHS = (48, 80, 128)
BATCH = 256  # images that are embedded together


class Residual(nn.Module):
    """Two convolutions, each added to what it takes; the second is grouped."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width // 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(x)))


class ImageTower(nn.Module):
    """(n, 3, 32, 32) in [-1, 1] to (n, 384), not normalised. 2x2 pixels are unshuffled into channels first."""

    def __init__(self, dim: int = 384):
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, WIDTHS[0], 3, padding=1)]
        for width, following in zip(WIDTHS, (*WIDTHS[1:], None), strict=True):
            layers.append(Residual(width))
            if following:
                layers.append(nn.Conv2d(width, following, 2, stride=2))
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(WIDTHS[-1]), nn.ReLU())
        self.head = nn.Linear(2 * WIDTHS[-1], dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))


class EmbeddedCLIP:
    """32x32 images against sentences, on the CPU; trained by recipes/clip.py. A `backends.protocols.CLIP`."""

    def __init__(self, info: ModelInfo):
        self.info = info
        stored = load_file(WEIGHTS)
        weights = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
        self.text_mean = weights.pop("text_mean")
        self.tower = ImageTower()
        self.tower.load_state_dict({key.removeprefix("image."): value for key, value in weights.items()})
        self.tower.eval()
        self.sentences = shared_encoder()

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Embed texts to (n, 384) float32 of unit length."""
        return F.normalize(self.sentences.encode(texts) - self.text_mean, dim=-1)

    @torch.inference_mode()
    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        """Embed PIL images of any size and mode to (n, 384) float32 of unit length."""
        starts = range(0, len(images), BATCH)
        chunks = [torch.stack([_to_pixels(image) for image in images[n : n + BATCH]]) for n in starts]
        return torch.cat([F.normalize(self.tower(chunk), dim=-1) for chunk in chunks])


def _to_pixels(image: Image.Image) -> torch.Tensor:
    """Convert an image to (3, SIZE, SIZE) in [-1, 1]."""
    image = image.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1) / 127.5 - 1
