"""The model and the batch of the SyncBN tests."""

import timm
import torch
from torch import nn

BATCH = 16  # half real, half synthetic


def plain() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(
        "test_resnet", num_classes=5, channels=[8, 8, 16, 16], stem_width=8
    ).double()  # so that only defects differ


def inputs() -> torch.Tensor:
    return torch.randn(BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double()


def outcome(network: nn.Module, images: torch.Tensor) -> dict:
    """Outputs, statistics and gradients of the summed squares, on the CPU."""
    outputs = network(images)
    outputs.square().sum().backward()
    return {
        "outputs": outputs.detach().cpu(),
        "buffers": {name: value.cpu() for name, value in network.named_buffers()},
        "gradients": {name: weight.grad.cpu() for name, weight in network.named_parameters()},
    }
