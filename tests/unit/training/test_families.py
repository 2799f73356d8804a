"""AuxBN on the smallest member of every timm family that has batch norm: routed, stepped, stripped, loaded, equal output."""

import copy

import pytest
import timm
import torch
from torch import nn

from synaug.training import auxbn

N_REAL, BATCH = 2, 4

# module of timm: (smallest model with batch norm, side of the images that it is tried with)
FAMILIES: dict[str, tuple[str, int]] = {}
QUICK = (
    "byobnet", "convmixer", "densenet", "efficientnet", "ghostnet", "levit",
    "mobilenetv3", "regnet", "resnet", "resnetv2", "repvit", "vgg",
)  # fmt: skip


def without_noise(model: nn.Module) -> nn.Module:
    """Dropout and drop path off: they would draw anew in each of the passes that are compared."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout) or type(layer).__name__ in ("DropPath", "DropBlock2d", "PatchDropout"):
            layer.p = layer.drop_prob = 0.0
    return model


def batch_norms(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, auxbn.BATCH_NORMS)]


def check(name: str, size: int) -> None:
    torch.manual_seed(0)
    plain = without_noise(timm.create_model(name, num_classes=5))
    images = torch.randn(BATCH, 3, size, size)
    wrapped = auxbn.with_aux(plain)
    auxbn.set_split(wrapped, n_real=N_REAL, batch=BATCH)
    assert len(auxbn.layers(wrapped)) >= 1 and len(batch_norms(wrapped)) == 2 * len(batch_norms(plain))

    # In training mode the two halves are as far apart as two plain models.
    real, synthetic = copy.deepcopy(plain).train(), copy.deepcopy(plain).train()
    with torch.no_grad():
        expected = torch.cat([logits(real(images[:N_REAL])), logits(synthetic(images[N_REAL:]))])
    given = logits(wrapped.train()(images))
    assert torch.allclose(given, expected, rtol=1e-3, atol=1e-4), (given - expected).abs().max()

    # A step reaches every parameter that the plain model's reaches, in both branches.
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=1e-4)
    given.square().mean().backward()
    for layer in auxbn.layers(wrapped).values():
        for a, b in zip(layer.main.parameters(), layer.aux.parameters(), strict=True):
            assert (a.grad is None) == (b.grad is None)
    optimizer.step()

    # Stripped, it is a plain model: the same keys, a strict load, and in evaluation exactly the same output.
    stripped = auxbn.strip(wrapped)
    assert list(stripped) == list(plain.state_dict()) or set(stripped) == set(plain.state_dict())
    plain.load_state_dict(stripped, strict=True)
    with torch.no_grad():
        assert torch.equal(logits(wrapped.eval()(images)), logits(plain.eval()(images)))


def logits(output) -> torch.Tensor:
    """Distilled models may give two heads in training mode."""
    return output if torch.is_tensor(output) else torch.cat(list(output), 1)


@pytest.mark.parametrize("family", QUICK)
def test_a_family_with_batch_norm(family):
    check(*FAMILIES[family])


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - set(QUICK)))
def test_every_other_family_with_batch_norm(family):
    check(*FAMILIES[family])


@pytest.mark.slow
def test_no_family_with_batch_norm_is_missing():
    missing = []
    for module in sorted(set(timm.list_modules()) - FAMILIES.keys()):
        for name in timm.list_models(module=module):
            with torch.device("meta"):
                if batch_norms(timm.create_model(name)):
                    missing.append(name)
                    break
    assert missing == []
