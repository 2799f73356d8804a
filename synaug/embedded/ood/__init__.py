"""The out-of-domain sets of the embedded default, drawn on real photos: other contexts, noise, sketches.

`reported` draws on test photos, for the report only; `tuning` draws the dev sets' own. Backgrounds, colours, noises and
code of the two differ from each other and from all that the generator and CLIP were trained on (`recipes.contexts`), by
test.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synaug.embedded.ood import reported, tuning


@dataclass(frozen=True)
class OodSet:
    """How one set is drawn."""

    source: str  # shipped split that it is drawn on
    size: int
    seed: int
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    note: str


SETS = {
    "ood-contexts": OodSet(
        "test", 2000, 101, reported.contexts, f"test photos in other colours before {', '.join(reported.BACKGROUNDS)}"
    ),
    "ood-noise": OodSet("test", 2000, 102, reported.noise, f"test photos with {', '.join(reported.NOISES)}"),
    "ood-sketch": OodSet("test", 2000, 103, reported.sketch, "test photos as ink strokes with hatching"),
    "dev-ood-contexts": OodSet(
        "dev", 1000, 201, tuning.contexts, f"dev photos in other colours before {', '.join(tuning.BACKGROUNDS)}"
    ),
    "dev-ood-noise": OodSet("dev", 1000, 202, tuning.noise, f"dev photos with {', '.join(tuning.NOISES)}"),
    "dev-ood-sketch": OodSet("dev", 1000, 203, tuning.sketch, "dev photos as chalk outlines with stipple"),
}


def draw(name: str, photos: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw a set of `SETS` on its source's photos, (n, 32, 32) in [0, 1], with their labels (n,).

    Returns (size, 32, 32, 3) in [0, 1] and the row in `photos` of each. Every class equally often, seeded, no photo
    twice.
    """
    ood_set = SETS[name]
    rng = np.random.default_rng(ood_set.seed)
    each = ood_set.size // len(np.unique(labels))
    chosen = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:each] for label in np.unique(labels)])
    chosen = rng.permutation(chosen)
    return np.clip(ood_set.draw(photos[chosen], rng), 0, 1), chosen
