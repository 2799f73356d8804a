import torch

from synaug.generation.quality import find_faults


def test_each_fault_is_named_and_good_images_pass():
    pixels = torch.rand(6, 3, 8, 8)
    pixels[1, 0, 0, 0] = float("nan")
    pixels[2, 2, 7, 7] = float("inf")
    pixels[3] = 0
    pixels[4] = 2 / 255  # what an overflowing VAE leaves after rounding
    assert find_faults(pixels, [False] * 5 + [True]) == [None, "not finite", "not finite", "black", "black", "flagged"]


def test_a_dark_picture_with_one_bright_spot_is_no_black_one():
    pixels = torch.zeros(1, 3, 8, 8)
    pixels[0, :, 4, 4] = 0.1
    assert find_faults(pixels, [False]) == [None]
