import torch

from synaug.backends.protocols import Generated
from synaug.generation.quality import find_faults


def test_each_fault_is_named_and_good_images_pass():
    pixels = torch.randint(8, 256, (6, 3, 8, 8), dtype=torch.uint8)
    pixels[2] = 0
    pixels[3] = 2  # what an overflowing VAE leaves after rounding
    pixels[5] = 0  # a safety checker blanks what it flags
    made = Generated(pixels, [True, False, True, True, True, True], [False] * 4 + [True] * 2)
    assert find_faults(made) == [None, "not finite", "black", "black", "flagged", "flagged"]


def test_a_dark_picture_with_one_bright_spot_is_no_black_one():
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    pixels[0, :, 4, 4] = 25
    assert find_faults(Generated(pixels, [True], [False])) == [None]
