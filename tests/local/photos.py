"""Photos of a few classes as a person has them: folders, and a classes.yaml beside them."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from synaug.embedded import datasets

CLASSES = ("trousers", "sandal", "bag")


def put(folder: Path, per_class: int) -> None:
    """train/ and val/, `per_class` other photos of each class in both."""
    tiles, labels, _ = datasets.photos("train")
    for class_id in CLASSES:
        chosen = np.flatnonzero(labels == list(datasets.CLASSES).index(class_id))
        for n, tile in enumerate(chosen[: 2 * per_class]):
            path = folder / ("train" if n < per_class else "val") / class_id / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.pad(tiles[tile], 2)).convert("RGB").save(path)
    (folder / "classes.yaml").write_text(yaml.safe_dump([{"id": c, "names": [c]} for c in CLASSES]))
