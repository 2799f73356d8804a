"""The four measures on sets whose values are known."""

import pytest
import torch

from synaug.evaluation.diagnostics import precision_recall
from synaug.evaluation.diagnostics.precision_recall import measure


def gaussian(n: int, seed: int, d: int = 8) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_a_set_covers_itself():
    found = measure(gaussian(300, 0), gaussian(300, 0))
    assert (found.precision, found.recall, found.density, found.coverage) == (1.0, 1.0, 1.0, 1.0)


def test_far_from_the_origin_a_set_covers_itself_too():
    points = gaussian(300, 0) + 1e4
    assert measure(points, points).density == 1.0


def test_sets_apart_cover_nothing():
    found = measure(gaussian(300, 0), gaussian(300, 1) + 100)
    assert (found.precision, found.recall, found.density, found.coverage) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("k", [1, 5])
def test_two_draws_of_one_distribution_have_the_values_that_theory_gives(k):
    """Density 1, coverage 1 - 2**-k for many points (Naeem et al. 2020, section 3.3)."""
    found = measure(gaussian(2000, 0), gaussian(2000, 1), k=k)
    assert found.density == pytest.approx(1, abs=0.06)
    assert found.coverage == pytest.approx(1 - 2**-k, abs=0.03)


def test_on_a_line_the_values_can_be_counted():
    real = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # to the nearest other: 1, 1, 2, 4
    synthetic = torch.tensor([[0.5], [2.5], [20.0], [21.0]])  # 2, 2, 1, 1
    found = measure(real, synthetic, k=1)
    assert found.precision == 2 / 4  # 0.5 and 2.5
    assert found.recall == 3 / 4  # 0, 1 and 3
    assert (
        found.coverage == 3 / 4
    )  # the balls of 0 and 1 hold 0.5, the ball of 3 holds 2.5; the open one of 7 holds none
    assert found.density == 3 / 4  # 0.5 lies in two balls, 2.5 in one (of 3)


def test_dropped_modes_cost_recall_and_coverage_not_precision():
    modes = [torch.full((8,), 50.0 * n) for n in range(4)]
    real = torch.cat([gaussian(100, n) + mode for n, mode in enumerate(modes)])
    whole = torch.cat([gaussian(100, 10 + n) + mode for n, mode in enumerate(modes)])
    dropped = torch.cat([gaussian(400, 20)])
    a, b = measure(real, whole), measure(real, dropped)
    assert a.precision > 0.9 and b.precision > 0.9
    assert a.recall > 0.85 > 0.25 >= b.recall
    assert a.coverage > 0.85 > 0.25 >= b.coverage


def test_blocks_change_nothing_and_no_larger_matrix_is_made(monkeypatch):
    real, synthetic = gaussian(203, 0), gaussian(203, 1) + 0.5
    whole, rows = measure(real, synthetic), []
    cdist = torch.cdist
    monkeypatch.setattr(precision_recall, "BLOCK", 10)
    monkeypatch.setattr(torch, "cdist", lambda a, b: rows.append(len(a)) or cdist(a, b))
    assert measure(real, synthetic) == whole
    assert max(rows) == 10


@pytest.mark.parametrize("n, m", [(10, 11), (5, 5)])
def test_unequal_or_too_few_points_are_refused(n, m):
    with pytest.raises(ValueError, match="equal shapes are needed, and more than 5 rows"):
        measure(gaussian(n, 0), gaussian(m, 1))
