import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from synaug.config.training import Augmentation, TrainingSettings
from synaug.training import augmentation


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 128)], -1).astype(np.uint8))


def test_uniforms_depend_on_seed_source_pass_and_sample_only():
    passes, samples = np.array([0, 0, 1, 1]), np.array([5, 6, 5, 6])
    draw = augmentation.uniforms(0, "real", passes, samples, 4)
    assert len(np.unique(draw)) == 16
    assert np.array_equal(augmentation.uniforms(0, "real", passes[::-1], samples[::-1], 4), draw[::-1])
    assert not np.isin(augmentation.uniforms(1, "real", passes, samples, 4), draw).any()
    assert not np.isin(augmentation.uniforms(0, "synthetic", passes, samples, 4), draw).any()


def test_uniforms_are_uniform_and_independent():
    draw = augmentation.uniforms(0, "real", np.zeros(20_000, int), np.arange(20_000), 3)
    assert draw.min() >= 0 and draw.max() < 1
    for column in draw.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(draw.T) - np.eye(3)).max() < 0.03


def test_padded_crop_shifts_by_at_most_an_eighth():
    images = torch.arange(32 * 32, dtype=torch.uint8).view(1, 1, 32, 32).expand(3, 3, 32, 32).contiguous() | 1
    shifted = augmentation.padded_crop(images, np.array([[0.0, 0.0], [0.5, 0.5], [0.999, 0.999]]))
    assert torch.equal(shifted[1], images[1])
    assert torch.equal(shifted[0][:, 4:, 4:], images[0][:, :-4, :-4]) and not shifted[0][:, :4].any()
    assert torch.equal(shifted[2][:, :-4, :-4], images[2][:, 4:, 4:]) and not shifted[2][:, :, -4:].any()


def test_half_of_the_images_are_flipped_and_erased_as_asked():
    images = torch.randint(1, 255, (400, 3, 16, 16), dtype=torch.uint8)
    draw = augmentation.uniforms(0, "real", np.zeros(400, int), np.arange(400), 8)
    flipped = augmentation.finish(images.clone(), Augmentation(crop="none", flip=True), draw)
    same = (flipped == images).flatten(1).all(1)
    assert torch.equal(flipped[~same], images[~same].flip(-1)) and 160 < same.sum() < 240
    erased = augmentation.finish(images, Augmentation(crop="none", flip=False, erase=0.25), draw)
    holes = (erased == 0).all(1).flatten(1).float().mean(1)
    assert 70 < (holes > 0).sum() < 130 and holes[holes > 0].min() > 0.01 and holes.max() < 0.4
    assert torch.equal(augmentation.finish(images, Augmentation(crop="none", flip=False), draw), images)


def test_resized_keeps_an_image_of_the_right_size_and_crops_the_centre_of_others():
    image = gradient(32, 32)
    assert np.array_equal(augmentation.resized(image, 32), np.asarray(image))
    wide = augmentation.resized(gradient(120, 60), 30)
    assert wide.shape == (30, 30, 3)
    assert abs(int(wide[15, 0, 0]) - 64) < 8 and abs(int(wide[15, -1, 0]) - 191) < 8  # the middle half of 0 ... 255
    assert augmentation.resized(Image.new("L", (40, 50), 7), 32).shape == (32, 32, 3)


def test_a_reduced_jpeg_gives_about_the_same_crop():
    file = io.BytesIO()
    gradient(800, 600).save(file, "JPEG", quality=95)
    draw = np.array([0.5, 0.5, 0.5, 0.5, 0.0])
    reduced = augmentation.random_resized(Image.open(io.BytesIO(file.getvalue())), 64, Augmentation(), draw)
    full = augmentation.random_resized(Image.open(io.BytesIO(file.getvalue())).convert("RGB"), 64, Augmentation(), draw)
    assert np.abs(reduced.astype(int) - full).max() <= 6


@pytest.mark.parametrize("draw", [np.zeros(5), np.full(5, 0.5), np.full(5, 0.9999)])
def test_a_random_crop_has_the_drawn_area_and_lies_inside(draw):
    crop = augmentation.random_resized(gradient(256, 256), 64, Augmentation(min_scale=0.25), draw).astype(int)
    width, height = (np.ptp(crop[..., axis]) / 255 for axis in (0, 1))
    assert 0.2 < width * height < 1.01 and 0.74 < width / height < 1.35


def test_auto_augment_is_seeded():
    wanted, image = Augmentation(auto="rand-m9-n2-mstd0.5"), np.asarray(gradient(32, 32))
    results = [
        augmentation.auto_augmented(image, wanted, np.array([0, 0, 0, 0, seed])) for seed in (0.1, 0.2, 0.1)
    ]
    assert np.array_equal(results[0], results[2]) and not np.array_equal(results[0], results[1])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_stays_within_its_slice_and_weighs_the_targets(kind):
    rng = np.random.default_rng(0)
    images = torch.arange(1.0, 5.0).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    targets = torch.eye(4)
    for _ in range(20):
        mixed, soft = augmentation.mixed(
            images, targets, Augmentation(mixup=0.0, cutmix=0.0).model_copy(update={kind: 1.0}), rng
        )
        assert torch.allclose(soft.sum(1), torch.ones(4))
        shares = mixed.mean((1, 2, 3))  # a mean of the two images' values, weighed as the targets
        assert torch.allclose(shares, soft @ torch.arange(1.0, 5.0), atol=1e-5)


def test_test_images_are_normalized_with_the_models_own_mean():
    settings = TrainingSettings(model="inception_v3", image_size=20, test_crop=0.5)
    tensor = augmentation.test_transform(settings)(Image.new("L", (100, 60), 255))
    assert tensor.shape == (3, 20, 20) and torch.allclose(tensor, torch.ones(3, 20, 20))
    small = TrainingSettings(image_size=32, test_crop=1.0)
    image = gradient(32, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in augmentation.normalization(small))
    expected = (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - mean) / std
    assert torch.allclose(augmentation.test_transform(small)(image), expected, atol=1e-6)
