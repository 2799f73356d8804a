"""The reported out-of-domain sets: photos (n, 32, 32) in [0, 1], garment on black, to (n, 32, 32, 3)."""

import numpy as np
from scipy import ndimage

SIDE = 32
PALETTE = {
    "maroon": (0.50, 0.02, 0.20),
    "olive": (0.46, 0.48, 0.10),
    "slate": (0.30, 0.38, 0.46),
    "lavender": (0.74, 0.68, 0.92),
    "salmon": (0.96, 0.62, 0.50),
    "mint": (0.62, 0.94, 0.72),
    "rust": (0.70, 0.30, 0.06),
    "plum": (0.42, 0.12, 0.40),
    "mustard": (0.76, 0.62, 0.08),
    "moss": (0.36, 0.54, 0.34),
    "denim": (0.28, 0.44, 0.66),
    "taupe": (0.60, 0.54, 0.48),
}


def cutout(photos: np.ndarray) -> np.ndarray:
    """Find the alpha of the garments, (n, 32, 32): all that the black outside does not reach from the border."""
    alpha = np.empty_like(photos)
    for n, photo in enumerate(photos):
        regions, _ = ndimage.label(photo < 0.03)
        outside = np.isin(
            regions, np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
        ) & (regions > 0)
        alpha[n] = ~outside
    return alpha


def two_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first, second = rng.permutation(list(PALETTE.values()))[:2]
    return first, second


def blend(amount: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mix two colours by amount, (32, 32) in [0, 1]: 0 is first, 1 is second."""
    return first + np.clip(amount, 0, 1)[..., None] * (second - first)


def brick(x, y, rng):
    rows, wide = rng.integers(5, 8), rng.integers(3, 5)
    shift = 0.5 * (np.floor(y * rows) % 2)
    joint = ((y * rows) % 1 < 0.22) | ((x * wide + shift) % 1 < 0.12)
    tone = rng.uniform(0, 0.3, (rows, wide + 1))[np.floor(y * rows).astype(int), np.floor(x * wide + shift).astype(int)]
    return np.where(joint, 1.0, tone)


def mosaic_tiles(x, y, rng):
    seeds = rng.random((14, 2))
    nearest = ((x[..., None] - seeds[:, 0]) ** 2 + (y[..., None] - seeds[:, 1]) ** 2).argmin(-1)
    return rng.random(14)[nearest]


def rings(x, y, rng):
    radius = np.hypot(x - rng.uniform(-0.2, 1.2), y - rng.uniform(-0.2, 1.2))
    return 0.5 + 0.5 * np.tanh(4 * np.cos(2 * np.pi * radius * rng.uniform(5, 8)))


def zigzag(x, y, rng):
    saw = np.abs((x * rng.integers(3, 6)) % 1 - 0.5)
    return ((y * rng.integers(4, 7) + 2 * saw + rng.random()) % 1 < 0.5).astype(float)


def leaves(x, y, rng):
    amount = np.zeros((SIDE, SIDE))
    for _ in range(18):
        turn, across, down = rng.uniform(0, np.pi), rng.random(), rng.random()
        along = (x - across) * np.cos(turn) + (y - down) * np.sin(turn)
        aside = (y - down) * np.cos(turn) - (x - across) * np.sin(turn)
        amount = np.where((along / 0.16) ** 2 + (aside / 0.055) ** 2 < 1, rng.uniform(0.35, 1), amount)
    return amount


def clouds(x, y, rng):
    amount = sum(ndimage.zoom(rng.random((k + 1, k + 1)), SIDE / (k + 1), order=1) / k for k in (3, 7, 15))
    return (amount - amount.min()) / np.ptp(amount)


BACKGROUNDS = {
    "brick": brick,
    "mosaic tiles": mosaic_tiles,
    "rings": rings,
    "zigzag": zigzag,
    "leaves": leaves,
    "clouds": clouds,
}


def contexts(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw garments dyed in a colour of the palette, or grey, before a drawn background."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    alpha = ndimage.uniform_filter(cutout(photos), (0, 2, 2))[..., None]
    pictures = np.empty((len(photos), SIDE, SIDE, 3))
    painters = list(BACKGROUNDS.values())
    for n, photo in enumerate(photos):
        behind = blend(painters[n % len(painters)](x, y, rng), *two_colours(rng))
        dye = np.ones(3) if rng.random() < 0.4 else two_colours(rng)[0] * 1.35
        garment = (0.12 + 0.88 * photo[..., None]) * dye
        pictures[n] = alpha[n] * garment + (1 - alpha[n]) * behind
    return pictures


def impulse(pictures, rng):
    """Strew salt and pepper over 6 to 14% of the pixels."""
    dice = rng.random(pictures.shape)
    rate = rng.uniform(0.03, 0.07, (len(pictures), 1, 1))
    return np.where(dice < rate, 0.0, np.where(dice > 1 - rate, 1.0, pictures))


def multiplicative(pictures, rng):
    """Multiply with gamma noise of mean 1, as in radar and ultrasound, over a light haze."""
    return (0.08 + 0.92 * pictures) * rng.gamma(5.0, 1 / 5.0, pictures.shape)


def shot(pictures, rng):
    """Count the photons of a dark exposure with some stray light."""
    photons = rng.uniform(5, 12, (len(pictures), 1, 1))
    return rng.poisson((0.06 + 0.94 * pictures) * photons) / photons


def banding(pictures, rng):
    """Offset the rows and columns of a sensor, each by its own amount."""
    rows, columns = rng.laplace(0, 0.09, (len(pictures), SIDE, 1)), rng.laplace(0, 0.09, (len(pictures), 1, SIDE))
    return 0.1 + 0.8 * pictures + rows + columns


NOISES = {"impulse noise": impulse, "multiplicative noise": multiplicative, "shot noise": shot, "banding": banding}


def noise(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Disturb each photo with a noise of NOISES, in turn."""
    pictures = np.empty_like(photos)
    for n, disturb in enumerate(NOISES.values()):
        pictures[n :: len(NOISES)] = disturb(photos[n :: len(NOISES)], rng)
    return np.repeat(pictures[..., None], 3, axis=-1)


def enlarged(photos: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(photos.astype(np.float32), 3, 1), 3, 2)


def ink(photos: np.ndarray, hatching: np.ndarray) -> np.ndarray:
    """Compute how light the paper stays, (n, 32, 32).

    Strokes are dark where a difference of Gaussians is negative, hatching where garments are dark. Drawn at three times
    the size, then averaged. After Winnemöller's extended difference of Gaussians (2012).
    hatching: (n, 96, 96), true on the lines.
    """
    large, inside = ndimage.uniform_filter(enlarged(photos), (0, 3, 3)), enlarged(cutout(photos)) > 0
    seen = np.where(inside, 0.25 + 0.6 * large, np.float32(1))
    fine, coarse = (ndimage.gaussian_filter(seen, (0, sigma, sigma), truncate=3) for sigma in (1.1, 2.0))
    strokes = np.clip(1 + 28 * (fine - 0.98 * coarse - 0.004), 0, 1)
    light = np.where(hatching & inside & (large < 0.45), np.minimum(strokes, np.float32(0.35)), strokes)
    return light.reshape(len(photos), SIDE, 3, SIDE, 3).mean((2, 4))


def sketch(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw photos in ink on paper of slightly different whites."""
    y, x = np.mgrid[0 : 3 * SIDE, 0 : 3 * SIDE]
    lines = np.stack([(x + y + shift) % 7 < 2 for shift in range(7)])[rng.integers(0, 7, len(photos))]
    chunks = range(0, len(photos), 100)  # small enough to stay in the cache
    light = np.concatenate([ink(photos[at : at + 100], lines[at : at + 100]) for at in chunks])[..., None]
    paper = rng.uniform(0.86, 1.0, (len(photos), 1, 1, 1)) * np.array([1.0, 0.99, 0.96])
    return 0.08 + light * (paper - 0.08)
