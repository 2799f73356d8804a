"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of two sets of features.

A set's manifold is the union of balls around its points, each as wide as the distance to the k-th nearest other point
of the set. precision is the part of synthetic points inside the real manifold, recall the part of real points inside
the synthetic one; density counts the real balls around a synthetic point, over k; coverage is the part of real balls
that hold a synthetic point. A ball is open, as in the reference code of Naeem et al. For two draws from one
distribution density is 1 in expectation and coverage about 1 - 2**-k (0.97 at k = 5). All four depend on the number of
points: compare at one n only.
"""

import torch
from torch import Tensor

from synaug.evaluation.diagnostics.schema import CoverageMeasures

K = 5
BLOCK = 1024  # rows of distances held at once


def measure(real: Tensor, synthetic: Tensor, *, k: int = K) -> CoverageMeasures:
    """Measure how well synthetic features lie among real ones, and cover them.

    real, synthetic: (n, d) each, equally many. Memory: O(n * BLOCK) float64. Raises ValueError for other shapes,
    or n <= k.
    """
    if real.shape != synthetic.shape or len(real) <= k:
        raise ValueError(
            f"real {tuple(real.shape)}, synthetic {tuple(synthetic.shape)}: "
            f"equal shapes are needed, and more than {k} rows"
        )
    center = real.double().mean(0)  # distances by matrix products lose digits far from the origin
    real, synthetic = real.double() - center, synthetic.double() - center
    real_radius, synthetic_radius = _radii(real, k), _radii(synthetic, k)
    balls = torch.zeros(len(synthetic), dtype=torch.int64, device=real.device)
    covered = recalled = 0
    for start in range(0, len(real), BLOCK):
        distances = torch.cdist(real[start : start + BLOCK], synthetic)
        inside = distances < real_radius[start : start + BLOCK, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances < synthetic_radius).any(1).sum())
    n = len(real)
    return CoverageMeasures(
        precision=int((balls > 0).sum()) / n,
        recall=recalled / n,
        density=int(balls.sum()) / (k * n),
        coverage=covered / n,
    )


def _radii(points: Tensor, k: int) -> Tensor:
    """Measure the distance of each point to its k-th nearest other one."""
    blocks = points.split(BLOCK)
    return torch.cat([torch.cdist(block, points).topk(k + 1, largest=False).values[:, -1] for block in blocks])
