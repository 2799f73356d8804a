"""Cut the shipped photos out of Fashion-MNIST: python -m recipes.datasets [--out FOLDER]

Reads the IDX files of Debian's `dataset-fashion-mnist` and writes one PNG mosaic a split, 28x28 tiles row by row, with
splits.json beside them (labels and the position of every photo in its original file). Seeded: the same bytes again.
"""

import argparse
import json
from pathlib import Path

import numpy as np

SEED = 0
HELD_OUT = slice(50_000, 60_000)  # of the training file: photos that neither the generator nor CLIP has seen
SEEN = slice(0, 50_000)  # what the generator and CLIP were trained on
PER_CLASS = {"train": 50, "dev": 200, "oracle": 300}
COLUMNS = 50


def choose(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Choose positions in the training file: {split: (n,)}, each class equally often. train and dev are disjoint."""
    rng = np.random.default_rng(SEED)
    chosen: dict[str, list[np.ndarray]] = {name: [] for name in PER_CLASS}
    for label in range(10):
        held_out = rng.permutation(np.flatnonzero(labels[HELD_OUT] == label)) + HELD_OUT.start
        seen = rng.permutation(np.flatnonzero(labels[SEEN] == label))
        chosen["train"].append(held_out[: PER_CLASS["train"]])
        chosen["dev"].append(held_out[PER_CLASS["train"] :][: PER_CLASS["dev"]])
        chosen["oracle"].append(seen[: PER_CLASS["oracle"]])
    return {name: rng.permutation(np.concatenate(positions)) for name, positions in chosen.items()}


def mosaic(photos: np.ndarray) -> np.ndarray:
    """Lay photos side by side: (n, 28, 28) -> (28 n / COLUMNS, 28 COLUMNS); n is a multiple of COLUMNS."""
    rows = len(photos) // COLUMNS
    return photos.reshape(rows, COLUMNS, 28, 28).transpose(0, 2, 1, 3).reshape(rows * 28, COLUMNS * 28)


def main():
    from PIL import Image

    from recipes import fashion
    from synaug.embedded.datasets import FOLDER

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    photos, labels = fashion.read("train")
    chosen = choose(labels)
    parts = {name: ("train", photos[at], labels[at], at) for name, at in chosen.items()}
    parts["test"] = ("t10k", *fashion.read("t10k"), np.arange(10_000))
    index = {}
    for name, (file, photos_of, labels_of, at) in parts.items():
        Image.fromarray(mosaic(photos_of)).save(args.out / f"{name}.png", optimize=True)
        index[name] = {"file": file, "labels": "".join(map(str, labels_of)), "position": at.tolist()}
    (args.out / "splits.json").write_text(json.dumps(index) + "\n")


if __name__ == "__main__":
    main()
