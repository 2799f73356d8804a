"""Small images for tests."""

import io
from functools import cache

import numpy as np
from PIL import Image

from synaug.data.manifest import TarTable
from synaug.data.webdataset import image_bytes


def picture(seed: int, size: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


@cache
def encoded(seed: int, format: str = "JPEG", size: int = 16) -> bytes:
    buffer = io.BytesIO()
    picture(seed, size).save(buffer, format)
    return buffer.getvalue()


def jpeg(seed: int) -> bytes:
    return encoded(seed)


def images_of(tar: bytes, table: TarTable) -> list[tuple[str, int, bytes]]:
    """Key, label and encoded image of each row."""
    return [(row.key, row.label, image_bytes(tar, table, n)) for n, row in enumerate(table.rows())]
