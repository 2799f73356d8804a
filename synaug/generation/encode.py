"""Pixels to the stored JPEG."""

import io

import torch
from PIL import Image


def to_image(pixels: torch.Tensor, *, shortest_edge: int) -> Image.Image:
    """(3, H, W) nominally in [0, 1] to RGB; the shortest edge shrunk to `shortest_edge` with antialiasing, never enlarged."""
    array = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(array)
    if min(image.size) <= shortest_edge:
        return image
    scale = shortest_edge / min(image.size)
    return image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)


def to_jpeg(image: Image.Image, *, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
