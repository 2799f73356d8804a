"""Main against auxiliary batch norms whose statistics are known."""

import math

import pytest
import torch
from torch import nn

from synaug.evaluation.diagnostics import batch_norms
from synaug.training import auxbn
from tests.unit.evaluation.diagnostics import made
from tests.unit.training import helpers


def model(*channels: int, **options) -> nn.Module:
    return auxbn.with_aux(nn.Sequential(*(nn.BatchNorm2d(n, eps=0.0, **options) for n in channels)))


def test_equal_branches_have_no_distance():
    (layer,) = batch_norms.layers(model(4))
    assert (layer.name, layer.channels) == ("0", 4)
    assert (layer.mean, layer.variance, layer.divergence, layer.weight, layer.bias) == (0, 0, 0, 0, 0)


def test_distances_are_those_of_the_gaussians():
    one = model(2)
    main, aux = one[0].main, one[0].aux
    main.running_mean[:], main.running_var[:] = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])
    aux.running_mean[:], aux.running_var[:] = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 4.0])
    with torch.no_grad():
        main.weight[:], aux.weight[:] = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])
        aux.bias[:] = torch.tensor([1.0, 0.0])
    (layer,) = batch_norms.layers(one)
    assert layer.mean == pytest.approx((2 + 0) / 2)  # a difference of 2 over a deviation of 1; none
    assert layer.variance == pytest.approx(math.log(4) / 2)
    normal = torch.distributions.Normal
    a, b = normal(main.running_mean, main.running_var.sqrt()), normal(aux.running_mean, aux.running_var.sqrt())
    kl = torch.distributions.kl_divergence
    assert layer.divergence == pytest.approx(float((kl(a, b) + kl(b, a)).mean()))
    assert layer.weight == pytest.approx(0.5 / 5) and layer.bias == pytest.approx(1 / 5)


def test_a_channel_that_is_always_0_has_a_finite_distance():
    one = auxbn.with_aux(nn.BatchNorm2d(1))
    one.main.running_var[:], one.aux.running_var[:] = 0.0, 1.0
    (layer,) = batch_norms.layers(one)
    assert math.isfinite(layer.divergence) and math.isfinite(layer.variance)


def test_layers_come_in_the_networks_order_a_shared_one_once_and_without_affine_parameters_null():
    norm = nn.BatchNorm2d(3)
    one = auxbn.with_aux(nn.Sequential(nn.BatchNorm2d(12), norm, nn.BatchNorm2d(5, affine=False), norm))
    found = batch_norms.layers(one)
    assert [(layer.name, layer.channels) for layer in found] == [("0", 12), ("1", 3), ("2", 5)]
    assert found[2].weight is None and found[2].bias is None


def test_a_norm_without_running_statistics_is_left_out():
    assert batch_norms.layers(model(3, track_running_stats=False)) == []


def test_a_trained_arm_is_read_with_both_branches(empty):
    helpers.filled(empty)
    helpers.train(helpers.job(empty, "auxbn"))
    one = made.job(empty)
    given = batch_norms.trained(one)
    assert list(given) == ["auxbn"] and list(given["auxbn"]) == [0]
    layers = batch_norms.measure(one, given).arms["auxbn"][0]
    assert layers[0].name == "conv1.1" and layers[0].channels == 8
    assert all(layer.divergence > 0 for layer in layers)


def test_an_arm_whose_auxiliary_branches_were_not_kept_has_none(empty):
    made.filled(empty)
    made.put_classifier(made.job(empty), arm="auxbn")
    assert batch_norms.trained(made.job(empty)) == {}
