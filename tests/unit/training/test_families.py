"""AuxBN on the smallest member of each timm family with batch norm: routed, stepped, stripped, loaded, equal output."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from synaug.training import auxbn

N_REAL, BATCH = 2, 4

# module of timm: (smallest model with batch norm, side of the images that it is tried with)
FAMILIES = {
    "byoanet": ("lambda_resnet26t", 64),
    "byobnet": ("test_byobnet", 64),
    "convmixer": ("convmixer_768_32", 64),
    "cpubone": ("cpubone_nano", 224),
    "cspnet": ("cs3darknet_focus_s", 64),
    "cspnext": ("cspnext_tiny", 64),
    "densenet": ("densenet121", 64),
    "dla": ("dla46x_c", 64),
    "dpn": ("dpn48b", 64),
    "efficientformer": ("efficientformer_l1", 224),
    "efficientformer_v2": ("efficientformerv2_s0", 224),
    "efficientnet": ("test_efficientnet", 64),
    "efficientvim": ("efficientvim_m1", 224),
    "efficientvit_mit": ("efficientvit_b0", 64),
    "efficientvit_msra": ("efficientvit_m0", 224),
    "fasternet": ("fasternet_t0", 64),
    "fastvit": ("fastvit_t8", 64),
    "ghostnet": ("ghostnet_050", 64),
    "hardcorenas": ("hardcorenas_b", 64),
    "hgnet": ("hgnetv2_b0", 64),
    "hrnet": ("hrnet_w18_small", 64),
    "iformer": ("iformer_t", 224),
    "inception_next": ("inception_next_atto", 64),
    "inception_resnet_v2": ("inception_resnet_v2", 128),
    "inception_v3": ("inception_v3", 128),
    "inception_v4": ("inception_v4", 128),
    "lcnetv2": ("lcnetv2_small", 64),
    "levit": ("levit_128s", 224),
    "lowformer": ("lowformer_b0", 224),
    "maxxvit": ("coatnet_nano_rw_224", 224),
    "mobilenetv3": ("mobilenetv3_small_050", 64),
    "mobilevit": ("mobilevit_xxs", 64),
    "nasnet": ("nasnetalarge", 128),
    "nextvit": ("nextvit_small", 64),
    "pnasnet": ("pnasnet5large", 128),
    "regnet": ("regnetx_002", 64),
    "repghost": ("repghostnet_050", 64),
    "repvit": ("repvit_m0_9", 64),
    "res2net": ("res2next50", 64),
    "resnest": ("resnest14d", 64),
    "resnet": ("test_resnet", 64),
    "resnetv2": ("resnetv2_18", 64),
    "rexnet": ("rexnet_100", 64),
    "selecsls": ("selecsls42", 64),
    "senet": ("legacy_seresnet18", 64),
    "shvit": ("shvit_s1", 224),
    "sknet": ("skresnet18", 64),
    "starnet": ("starnet_s1", 64),
    "swiftformer": ("swiftformer_xs", 224),
    "tiny_vit": ("tiny_vit_5m_224", 224),
    "tresnet": ("tresnet_m", 64),
    "vgg": ("vgg11_bn", 64),
    "visformer": ("visformer_tiny", 224),
    "vision_transformer_hybrid": ("vit_small_resnet26d_224", 224),
    "volo": ("volo_d1_224", 224),
    "vovnet": ("ese_vovnet19b_slim_dw", 64),
    "xception": ("legacy_xception", 64),
    "xception_aligned": ("xception41", 64),
    "xcit": ("xcit_nano_12_p16_224", 224),
}
QUICK = (
    "byobnet",
    "convmixer",
    "densenet",
    "efficientnet",
    "ghostnet",
    "levit",
    "mobilenetv3",
    "regnet",
    "resnet",
    "resnetv2",
    "repvit",
    "vgg",
)


def without_noise(model: nn.Module) -> nn.Module:
    """Dropout and drop path off: they would draw again in each of the passes that are compared."""
    for layer in model.modules():
        for rate in {"p", "drop_prob", "drop_rate"} & vars(layer).keys():
            setattr(layer, rate, 0.0)
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


class WithoutStart(TorchFunctionMode):
    """No starting values: most of the time that a model takes on meta goes into tensors that hold none."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if args and torch.is_tensor(args[0]) and args[0].is_meta and getattr(function, "__name__", "") in RANDOM:
            return args[0]
        return function(*args, **kwargs or {})


RANDOM = {"uniform_", "normal_", "erfinv_", "mul_", "add_", "clamp_", "fill_", "zero_"}


@pytest.mark.slow
def test_no_family_with_batch_norm_is_missing():
    missing = []
    for module in sorted(set(timm.list_modules()) - FAMILIES.keys()):
        for name in timm.list_models(module=module):
            with torch.device("meta"), WithoutStart():
                if batch_norms(timm.create_model(name)):
                    missing.append(name)
                    break
    assert missing == []
