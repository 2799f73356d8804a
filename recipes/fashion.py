"""Fashion-MNIST (MIT), read from the folder of IDX files that Debian's `dataset-fashion-mnist` installs."""

import gzip
from pathlib import Path

import numpy as np

FOLDER = Path("/usr/share/datasets/fashion-mnist")
NAMES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def read(split: str, folder: Path = FOLDER) -> tuple[np.ndarray, np.ndarray]:
    """Read photos (n, 28, 28) uint8 and labels (n,) of `train` (60,000) or `t10k` (10,000)."""
    with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
        photos = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return photos, labels


def pad(photos: np.ndarray) -> np.ndarray:
    """Pad (n, 28, 28) to (n, 32, 32), black around."""
    return np.pad(photos, ((0, 0), (2, 2), (2, 2)))
