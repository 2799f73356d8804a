import io

import pytest
import torch
from PIL import Image

from synaug.generation.postprocess import to_image, to_jpeg


@pytest.mark.parametrize(
    ("height", "width", "edge", "size"), [(512, 512, 384, (384, 384)), (64, 48, 24, (24, 32)), (32, 32, 384, (32, 32))]
)
def test_the_shortest_edge_shrinks_and_never_grows(height, width, edge, size):
    assert to_image(torch.zeros(3, height, width, dtype=torch.uint8), shortest_edge=edge).size == size


def test_shrinking_is_antialiased():
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    values = to_image(stripes, shortest_edge=16).convert("L").getextrema()
    assert values[0] > 100 and values[1] < 155  # grey, not the stripes that nearest-neighbour would pick


def test_colours_stay():
    pixels = torch.stack([torch.full((8, 8), v, dtype=torch.uint8) for v in (255, 0, 128)])
    assert to_image(pixels, shortest_edge=8).getpixel((3, 3)) == (255, 0, 128)


def test_the_jpeg_has_the_configured_quality():
    picture = to_image(torch.randint(256, (3, 64, 64), dtype=torch.uint8), shortest_edge=64)
    small, large = to_jpeg(picture, quality=50), to_jpeg(picture, quality=92)
    assert len(small) < len(large) and Image.open(io.BytesIO(large)).size == (64, 64)
