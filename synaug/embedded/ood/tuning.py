"""The dev sets' own out-of-domain drawings: photos (n, 32, 32) in [0, 1], garment on black, to (n, 32, 32, 3)."""

import numpy as np
from scipy import ndimage

EDGE = 32
INKS = {
    "coral": (0.98, 0.46, 0.34),
    "indigo": (0.30, 0.04, 0.54),
    "lime": (0.66, 0.92, 0.12),
    "magenta": (0.86, 0.10, 0.62),
    "khaki": (0.72, 0.70, 0.44),
    "cyan": (0.10, 0.72, 0.94),
    "umber": (0.34, 0.20, 0.22),
    "jade": (0.04, 0.66, 0.44),
    "lilac": (0.82, 0.56, 0.86),
    "petrol": (0.10, 0.34, 0.48),
    "tan": (0.82, 0.64, 0.44),
    "wine": (0.56, 0.12, 0.30),
}


def matte(photos: np.ndarray) -> np.ndarray:
    """Find the cover of the garments, (n, 32, 32): what a closing and the filling of rows leave."""
    solid = ndimage.grey_closing(photos, (1, 3, 3)) > 0.04
    across = np.maximum.accumulate(solid, 2) & np.maximum.accumulate(solid[:, :, ::-1], 2)[:, :, ::-1]
    down = np.maximum.accumulate(solid, 1) & np.maximum.accumulate(solid[:, ::-1], 1)[:, ::-1]
    return np.where(solid | (across & down & ndimage.binary_closing(solid, np.ones((1, 7, 7)))), 1.0, 0.0)


def honeycomb(u, v, rng):
    size = rng.uniform(4, 6)
    a, b = u * size, (u * 0.5 + v * 0.866) * size
    return (np.floor(a + 0.3 * np.sin(2 * np.pi * b)) + 2 * np.floor(b)) % 3 / 2


def lattice(u, v, rng):
    n, width = rng.uniform(4, 7), rng.uniform(0.2, 0.35)
    return (((u + v) * n % 1 < width) | ((u - v) * n % 1 < width)).astype(float)


def spiral(u, v, rng):
    du, dv = u - rng.uniform(0.2, 0.8), v - rng.uniform(0.2, 0.8)
    return 0.5 + 0.5 * np.sin(2 * np.arctan2(dv, du) + 2 * np.pi * rng.uniform(3, 5) * np.hypot(du, dv))


def confetti(u, v, rng):
    sheet = np.zeros((EDGE, EDGE))
    for _ in range(40):
        left, top = rng.integers(0, EDGE - 2, 2)
        sheet[top : top + rng.integers(1, 4), left : left + rng.integers(1, 4)] = rng.uniform(0.4, 1)
    return sheet


def marble(u, v, rng):
    turbulence = ndimage.uniform_filter(rng.random((EDGE, EDGE)), 7) * 22
    return np.abs(np.sin(np.pi * (u * rng.uniform(1, 3) + v * rng.uniform(1, 3)) + turbulence))


def sunburst(u, v, rng):
    rays = rng.integers(7, 12)
    return (np.arctan2(v - rng.uniform(0.3, 1.3), u - rng.uniform(-0.3, 1.3)) * rays / np.pi % 1 < 0.5).astype(float)


BACKGROUNDS = {
    "honeycomb": honeycomb,
    "lattice": lattice,
    "spiral": spiral,
    "confetti": confetti,
    "marble": marble,
    "sunburst": sunburst,
}


def contexts(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw garments washed in an ink, or grey, over a drawn ground."""
    v, u = np.mgrid[0:EDGE, 0:EDGE] / EDGE
    cover = matte(photos)
    inks, grounds = np.array(list(INKS.values())), list(BACKGROUNDS.values())
    result = np.empty((len(photos), EDGE, EDGE, 3))
    for n, photo in enumerate(photos):
        light, dark, wash = inks[rng.choice(len(inks), 3, replace=False)]
        ground = grounds[n % len(grounds)](u, v, rng)[:, :, None]
        garment = photo[:, :, None] ** 0.8 * (1.0 if rng.random() < 0.4 else 0.3 + 0.8 * wash)
        result[n] = np.where(cover[n][:, :, None] > 0, 0.08 + 0.92 * garment, ground * light + (1 - ground) * dark)
    return result


def jitter(photos, rng):
    """Let every pixel change place with one next to it."""
    v, u = np.mgrid[0:EDGE, 0:EDGE]
    moved = [rng.integers(-1, 2, photos.shape) for _ in range(2)]
    rows, columns = np.clip(v + moved[0], 0, EDGE - 1), np.clip(u + moved[1], 0, EDGE - 1)
    return photos[np.arange(len(photos))[:, None, None], rows, columns]


def lost_rows(photos, rng):
    """Lose a fifth of the rows, which show a grey level."""
    lost = rng.random((len(photos), EDGE, 1)) < 0.2
    return np.where(lost, rng.uniform(0.2, 0.9, (len(photos), EDGE, 1)), photos)


def dither(photos, rng):
    """Leave one bit per pixel, ordered by a 4x4 Bayer matrix, on grey levels 0.1 and 0.9."""
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 + 0.06
    return 0.1 + 0.8 * (photos > np.tile(bayer, (EDGE // 4, EDGE // 4)))


def interlace(photos, rng):
    """Slip odd lines sideways and darken them."""
    slip = rng.integers(2, 4, len(photos)) * rng.choice([-1, 1], len(photos))
    result = photos.copy()
    for n, by in enumerate(slip):
        result[n, 1::2] = 0.15 + 0.6 * np.roll(photos[n, 1::2], by, 1)
    return result


NOISES = {"jitter": jitter, "lost rows": lost_rows, "dither": dither, "interlacing": interlace}


def noise(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Spoil each photo with one of NOISES, in turn."""
    result = np.empty_like(photos)
    for n, spoil in enumerate(NOISES.values()):
        result[n :: len(NOISES)] = spoil(photos[n :: len(NOISES)], rng)
    return np.stack([result] * 3, -1)


def sketch(photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw in chalk on slate: outlines by morphological gradient, tone by stipple as dense as the garment is light."""
    outline = ndimage.grey_dilation(photos, (1, 3, 3)) - photos
    cover = matte(photos)
    rim = cover - ndimage.grey_erosion(cover, (1, 3, 3))
    dots = (rng.random(photos.shape) < 0.55 * photos) * 0.6
    chalk = np.clip(np.maximum(np.maximum(1.5 * outline, 0.9 * rim), dots * cover), 0, 1)[..., None]
    slate = rng.uniform(0.12, 0.24, (len(photos), 1, 1, 1)) * np.array([0.8, 1.0, 0.95])
    return slate + chalk * (np.array([0.93, 0.91, 0.85]) - slate)
