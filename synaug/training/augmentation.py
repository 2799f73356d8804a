"""From stored images to training and test tensors. What is drawn depends on (seed, source, pass, sample) only.

Images that need no more than a padded crop and a flip are resized once and augmented as a batch; others one by one, in
threads.
"""

import random
import threading
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.auto_augment import auto_augment_transform, rand_augment_transform
from timm.models import get_pretrained_cfg
from torch import Tensor
from torchvision.transforms import v2

from synaug.config.training import Augmentation, TrainingSettings
from synaug.data.seeding import derive

# Python's and NumPy's global generators, which timm's auto-augment draws from: one thread at a time may seed and use
# them.
_global_generators = threading.Lock()


def uniforms(seed: int, source: str, passes: np.ndarray, samples: np.ndarray, n: int) -> np.ndarray:
    """Draw n numbers in [0, 1) for each sample of each pass, by SplitMix64 (Steele et al. 2014).

    passes, samples: (b,) integers. Returns (b, n) float64.
    """
    with np.errstate(over="ignore"):
        numbers, of = np.unique(passes, return_inverse=True)
        keys = np.array([derive("augment", seed, source, int(p)) for p in numbers], np.uint64)
        x: np.ndarray = keys[of][:, None] + np.uint64(0x9E3779B97F4A7C15) * (
            samples.astype(np.uint64)[:, None] * np.uint64(n) + np.arange(1, n + 1, dtype=np.uint64)
        )
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def normalization(settings: TrainingSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std, 3 numbers each for pixels in [0, 1], of the model's timm configuration, else ImageNet's."""
    try:
        cfg = get_pretrained_cfg(settings.model)
    except RuntimeError:  # a name that timm does not know is reported where the model is made
        cfg = None
    return (cfg.mean, cfg.std) if cfg else (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def evaluation_transform(settings: TrainingSettings) -> Callable[[Image.Image], Tensor]:
    """Make the transform of a test image: PIL image to (3, S, S) float32, resized, centre crop, normalized."""
    size = settings.test_image_size or settings.image_size
    mean, std = normalization(settings)
    return v2.Compose(
        [
            v2.RGB(),
            v2.Resize(round(size / settings.test_crop), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(size),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )


def fixed_size(augmentation: Augmentation) -> bool:
    """Say whether images can be resized once and for all before anything is drawn."""
    return augmentation.crop != "random-resized" and augmentation.auto is None


def resized(image: Image.Image, size: int) -> np.ndarray:
    """Resize the shortest side to `size` and crop the centre: (size, size, 3) uint8."""
    width, height = image.size
    # A JPEG is decoded at a fraction of its size, never below what is asked for.
    image.draft("RGB", (2 * size, 2 * size))
    image = image.convert("RGB")
    if (width, height) != (size, size):
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        image = image.resize(
            (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=3.0
        )
    return np.asarray(image)


def random_resized(image: Image.Image, size: int, augmentation: Augmentation, draw: np.ndarray) -> np.ndarray:
    """Crop a random area and aspect (3/4 to 4/3), as Inception and timm do it, and resize it: (size, size, 3) uint8.

    draw: 4 uniforms or more.
    """
    width, height = image.size
    area = width * height * (augmentation.min_scale + draw[0] * (1 - augmentation.min_scale))
    aspect = (3 / 4) ** (1 - 2 * draw[1])
    w, h = min(width, (area * aspect) ** 0.5), min(height, (area / aspect) ** 0.5)
    left, top = draw[2] * (width - w), draw[3] * (height - h)
    image.draft("RGB", (int(width * size / w) + 1, int(height * size / h) + 1))
    x, y = image.size[0] / width, image.size[1] / height
    image = image.convert("RGB").resize(
        (size, size), Image.Resampling.BICUBIC, box=(left * x, top * y, (left + w) * x, (top + h) * y)
    )
    return np.asarray(image)


def auto_augmented(image: np.ndarray, augmentation: Augmentation, draw: np.ndarray) -> np.ndarray:
    """Apply timm's auto-augment, if any: (S, S, 3) uint8 to the same. draw: 5 uniforms, of which the last seeds it."""
    config, seed = augmentation.auto, int(draw[4] * 2**32)
    if config is None:
        return image
    make = rand_augment_transform if config.startswith("rand") else auto_augment_transform
    transform = make(config, {"translate_const": int(min(image.shape[:2]) * 0.45), "img_mean": (124, 116, 104)})
    with _global_generators:
        random.seed(seed)
        np.random.seed(seed)
        return np.asarray(transform(Image.fromarray(image)))


def padded_crop(images: Tensor, draw: np.ndarray) -> Tensor:
    """Shift each image, (n, 3, S, S), by up to S/8 either way, black coming in. draw: (n, 2) uniforms."""
    size, pad = images.shape[-1], max(1, images.shape[-1] // 8)
    # (n, 3, 2 pad + 1, 2 pad + 1, S, S), a view
    windows = torch.nn.functional.pad(images, (pad,) * 4).unfold(2, size, 1).unfold(3, size, 1)
    y, x = torch.from_numpy((draw * (2 * pad + 1)).astype(np.int64)).unbind(1)
    return windows[torch.arange(len(images)), :, y, x]


def finish(images: Tensor, augmentation: Augmentation, draw: np.ndarray) -> Tensor:
    """Crop with padding, flip and erase a whole batch, (n, 3, S, S) uint8, possibly in place. draw: (n, 8) uniforms."""
    if augmentation.crop == "pad":
        images = padded_crop(images, draw[:, :2])
    if augmentation.flip:
        for row in np.flatnonzero(draw[:, 2] < 0.5):  # one by one: an image fits in the processor's cache
            images[row] = images[row].flip(-1)
    if augmentation.erase:
        images = _erase(images, augmentation.erase, draw[:, 3:8])
    return images


def _erase(images: Tensor, probability: float, draw: np.ndarray) -> Tensor:
    """Erase a rectangle of 2% to 33% of the area (Zhong et al. 2017) in each image, with the given probability."""
    size = images.shape[-1]
    area, aspect = (0.02 + 0.31 * draw[:, 1]) * size**2, 0.3 ** (1 - 2 * draw[:, 2])
    h, w = np.minimum(size, np.sqrt(area / aspect)), np.minimum(size, np.sqrt(area * aspect))
    top, left = draw[:, 3] * (size - h), draw[:, 4] * (size - w)
    at = np.arange(size)
    rows = (at >= top[:, None]) & (at < (top + h)[:, None]) & (draw[:, :1] < probability)
    columns = (at >= left[:, None]) & (at < (left + w)[:, None])
    return images.masked_fill(torch.from_numpy(rows[:, None, :, None] & columns[:, None, None, :]), 0)


def mixed(
    images: Tensor, targets: Tensor, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Apply Mixup or CutMix within one slice: image i with image n-1-i.

    timm pairs across the whole batch, which would mix the domains. Over several ranks the pairs are those of each
    rank's slice, so they alone depend on the number of ranks. images: (n, 3, S, S) float. targets: (n, classes), rows
    that sum to 1.
    """
    use_cutmix = augmentation.cutmix > 0 and (augmentation.mixup == 0 or rng.random() < 0.5)
    alpha = augmentation.cutmix if use_cutmix else augmentation.mixup
    kept, size = rng.beta(alpha, alpha), images.shape[-1]
    y, x = rng.random(2) * size
    if use_cutmix:
        half = size * (1 - kept) ** 0.5 / 2
        top, bottom, left, right = (round(min(max(v, 0), size)) for v in (y - half, y + half, x - half, x + half))
        other = images.flip(0)
        images = images.clone()
        images[..., top:bottom, left:right] = other[..., top:bottom, left:right]
        kept = 1 - (bottom - top) * (right - left) / size**2
    else:
        images = kept * images + (1 - kept) * images.flip(0)
    return images, kept * targets + (1 - kept) * targets.flip(0)
