"""The fake GPU refuses what a real one refuses."""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException

from tests.fake_gpu.device import fake_gpu


@pytest.fixture
def gpu(monkeypatch):
    with fake_gpu(monkeypatch) as device:
        yield device


def test_tensors_of_two_devices_do_not_go_together(gpu):
    layer = torch.nn.Linear(4, 4).to(gpu)
    with pytest.raises(RuntimeError, match="device"):
        layer(torch.ones(2, 4))
    assert layer(torch.ones(2, 4, device=gpu)).device == gpu


def test_tensors_of_two_types_do_not_go_together(gpu):
    layer = torch.nn.Conv2d(3, 4, 3).to(gpu, torch.float16)
    with pytest.raises(RuntimeError, match=r"type|dtype"):
        layer(torch.ones(2, 3, 8, 8, device=gpu))


def test_small_values_are_kept_and_large_ones_are_not(gpu):
    assert (torch.arange(5, device=gpu) + 1).tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(DataDependentOutputException):
        float(torch.ones(1 << 20, device=gpu).sum())


def test_autocast_is_on(gpu):
    layer = torch.nn.Linear(4, 4).to(gpu)
    with torch.autocast("cuda", torch.bfloat16):
        assert layer(torch.ones(2, 4, device=gpu)).dtype == torch.bfloat16
