"""Small images for tests."""

import io
from functools import cache

import numpy as np
from PIL import Image


def picture(seed: int, size: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


@cache
def encoded(seed: int, format: str = "JPEG", size: int = 16) -> bytes:
    buffer = io.BytesIO()
    picture(seed, size).save(buffer, format)
    return buffer.getvalue()


def jpeg(seed: int) -> bytes:
    return encoded(seed)
