"""AuxBN, a test for each way in which timm's SplitBatchNorm2d and its converters go wrong."""

import copy

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from timm.optim import create_optimizer_v2
from torch import nn
from torch._dynamo.testing import CompileCounter

from synaug.training import auxbn
from synaug.training.auxbn import AuxBatchNorm

N_REAL, BATCH = 3, 8


def small(name: str = "test_resnet", **kwargs) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **kwargs)
    for layer in model.modules():  # running statistics and affines that tell layers apart
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return model


def split(model: nn.Module) -> nn.Module:
    converted = auxbn.with_aux(model)
    auxbn.set_split(converted, n_real=N_REAL, batch=BATCH)
    return converted


def images(n: int = BATCH, size: int = 64) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(4), (BATCH, 4)),
        (nn.BatchNorm1d(4), (BATCH, 4, 5)),
        (nn.BatchNorm2d(4), (BATCH, 4, 5, 5)),
        (nn.BatchNorm3d(4), (BATCH, 4, 2, 5, 5)),
        (BatchNormAct2d(4, act_layer=nn.SiLU), (BATCH, 4, 5, 5)),
        (BatchNormAct2d(4, apply_act=False), (BATCH, 4, 5, 5)),
        (timm.layers.EvoNorm2dB0(4), (BATCH, 4, 5, 5)),
    ],
)
def test_each_slice_is_normalised_by_its_own_branch(layer, shape):
    x = torch.randn(shape) * torch.arange(1, BATCH + 1).view(-1, *[1] * (len(shape) - 1))
    converted = split(layer)
    alone = [copy.deepcopy(layer), copy.deepcopy(layer)]
    expected = torch.cat([alone[0](x[:N_REAL]), alone[1](x[N_REAL:])])
    assert torch.equal(converted(x), expected)
    for branch, reference in zip((converted.main, converted.aux), alone, strict=True):
        assert_same(branch.state_dict(), reference.state_dict())


def test_the_activation_of_batch_norm_act_is_kept():
    layer = BatchNormAct2d(4, act_layer=nn.ReLU)
    assert (split(layer)(torch.randn(BATCH, 4, 5, 5)) >= 0).all()


def test_evaluation_equals_the_plain_model_exactly():
    model = small("test_efficientnet").eval()
    converted = split(model)
    x = images()
    assert torch.equal(converted(x), model(x))


def test_evaluation_takes_main_and_aux_only_when_asked():
    converted = split(small()).eval()
    for layer in auxbn.layers(converted).values():
        nn.init.constant_(layer.aux.bias, 3.0)
    x, plain = images(), small().eval()
    assert torch.equal(converted(x), plain(x))
    auxbn.use_aux(converted, True)
    assert not torch.allclose(converted(x), plain(x))
    auxbn.use_aux(converted, False)
    assert torch.equal(converted(x), plain(x))


def test_modes_requires_grad_and_the_source_stay_as_they_were():
    model = small().train()
    model.bn1.eval()
    model.bn1.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    converted = split(model)
    assert not converted.bn1.training and not converted.bn1.main.training and converted.layer1.training
    assert not converted.bn1.main.weight.requires_grad and not converted.bn1.aux.weight.requires_grad
    assert type(model.bn1) is nn.BatchNorm2d
    converted.train()(images())
    assert_same(model.state_dict(), before)


def test_no_tensor_is_shared_with_the_source_or_between_the_branches():
    model = small()
    converted = split(model)
    pointers = [t.data_ptr() for m in (model, converted) for t in [*m.parameters(), *m.buffers()]]
    assert len(pointers) == len(set(pointers))


def test_a_second_conversion_changes_nothing():
    once = split(small())
    assert auxbn.with_aux(once) is once
    assert not any(
        isinstance(inner, AuxBatchNorm) for layer in auxbn.layers(once).values() for inner in (layer.main, layer.aux)
    )


def test_a_layer_used_twice_stays_one_layer():
    shared = nn.BatchNorm1d(4)
    converted = split(nn.Sequential(shared, nn.Linear(4, 4), shared))
    assert converted[0] is converted[2] and len(list(converted[0].parameters())) == 4
    assert set(auxbn.strip(converted)) == set(nn.Sequential(shared, nn.Linear(4, 4), shared).state_dict())


@pytest.mark.parametrize("convert", [nn.SyncBatchNorm.convert_sync_batchnorm, convert_sync_batchnorm, auxbn.sync])
def test_converters_to_sync_bn_keep_the_routing(convert):
    converted = convert(split(small()))
    assert len(auxbn.layers(converted)) == len(auxbn.layers(split(small())))
    for layer in auxbn.layers(converted).values():
        assert (layer.n_real, layer.batch) == (N_REAL, BATCH)
        assert isinstance(layer.main, nn.SyncBatchNorm) and isinstance(layer.aux, nn.SyncBatchNorm)


def test_sync_bn_keeps_the_activation():
    layer = auxbn.sync(split(BatchNormAct2d(4, act_layer=nn.SiLU))).aux
    assert isinstance(layer, nn.SyncBatchNorm) and isinstance(layer.act, nn.SiLU)


def test_the_auxiliary_branches_are_saved_and_loaded_apart():
    converted = split(small())
    converted.train()(images())
    aux = auxbn.aux_state(converted)
    norms = tuple(
        f"{name}." for name, layer in small().named_modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    )
    assert set(aux) == {key for key in auxbn.strip(converted) if key.startswith(norms)}
    again = auxbn.with_aux(small())
    auxbn.load_plain(again, auxbn.strip(converted))
    auxbn.load_aux(again, aux)
    assert_same(again.state_dict(), converted.state_dict())
    auxbn.use_aux(converted.eval(), True)
    through_aux = small().eval()
    through_aux.load_state_dict(auxbn.strip(converted) | aux, strict=True)
    assert torch.equal(through_aux(images()), converted(images()))
    with pytest.raises(KeyError, match="of no auxiliary branch, like other"):
        auxbn.load_aux(again, aux | {"other": torch.zeros(1)})


def test_strip_gives_exactly_the_plain_keys_and_both_ways_load_strictly():
    model = small("test_efficientnet")
    converted = split(model)
    for layer in auxbn.layers(converted).values():
        nn.init.constant_(layer.aux.weight, 7.0)
    assert_same(auxbn.strip(converted), model.state_dict())
    fresh = timm.create_model("test_efficientnet", num_classes=5)
    fresh.load_state_dict(auxbn.strip(converted), strict=True)

    again = split(timm.create_model("test_efficientnet", num_classes=5))
    auxbn.load_plain(again, model.state_dict())
    assert_same(auxbn.strip(again), model.state_dict())
    for layer in auxbn.layers(again).values():
        assert_same(layer.aux.state_dict(), layer.main.state_dict())


def test_load_plain_is_strict():
    state = small().state_dict()
    del state["bn1.running_mean"]
    with pytest.raises(RuntimeError, match=r"bn1\.main\.running_mean"):
        auxbn.load_plain(split(small()), state)


def test_a_plain_module_called_main_or_aux_is_not_mistaken():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aux, self.bn = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)

    assert_same(auxbn.strip(split(plain := Named())), plain.state_dict())


def test_slices_need_not_be_equal():
    layer = split(nn.BatchNorm1d(4))
    auxbn.set_split(layer, n_real=1, batch=7)
    assert layer(torch.randn(7 * 5, 4)).shape == (35, 4)


def test_tokens_folded_into_the_batch_are_split_with_their_images():
    """LeViT flattens (batch, tokens) before its BatchNorm1d."""
    x = torch.randn(BATCH, 6, 4)
    converted, real, synthetic = split(nn.BatchNorm1d(4)), nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    expected = torch.cat([real(x[:N_REAL].flatten(0, 1)), synthetic(x[N_REAL:].flatten(0, 1))])
    assert torch.equal(converted(x.flatten(0, 1)), expected)


def test_another_batch_than_the_split_was_fixed_for_is_refused():
    with pytest.raises(ValueError, match="set_split"):
        split(nn.BatchNorm1d(4))(torch.randn(BATCH + 1, 4))
    with pytest.raises(ValueError, match="set_split"):
        auxbn.with_aux(nn.BatchNorm1d(4))(torch.randn(BATCH, 4))
    with pytest.raises(ValueError, match="9 real images in a batch of 8"):
        auxbn.set_split(nn.BatchNorm1d(4), n_real=9, batch=8)


@pytest.mark.parametrize("n_real", [0, BATCH])
def test_an_empty_slice_still_calls_its_branch(n_real):
    """A rank that skips a branch breaks DDP's reduction: every parameter must get a gradient, here zero."""
    layer = split(nn.BatchNorm2d(4))
    auxbn.set_split(layer, n_real=n_real, batch=BATCH)
    layer(torch.randn(BATCH, 4, 5, 5)).square().sum().backward()
    empty = layer.aux if n_real else layer.main
    for parameter in empty.parameters():
        assert parameter.grad is not None and not parameter.grad.any()
    assert not empty.running_mean.any() and (empty.running_var == 1).all()


def test_a_compiled_step_is_one_graph_and_never_made_again():
    torch._dynamo.reset()
    counter = CompileCounter()
    converted = split(small()).train()
    compiled = torch.compile(converted, backend=counter, fullgraph=True)
    for _ in range(4):
        compiled(images()).sum().backward()
    assert counter.frame_count == 1


def test_norms_of_both_branches_have_no_weight_decay():
    converted = split(small())
    optimizer = create_optimizer_v2(converted, opt="sgd", lr=0.1, weight_decay=0.01)
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed
    for layer in auxbn.layers(converted).values():
        assert not decayed & {id(p) for p in layer.parameters()}


def test_channels_last_is_kept():
    converted = split(nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, 4, 5, 5).contiguous(memory_format=torch.channels_last)
    assert converted(x).is_contiguous(memory_format=torch.channels_last)


def assert_same(state: dict, other: dict) -> None:
    assert list(state) == list(other) or set(state) == set(other)
    for key in state:
        assert torch.equal(state[key], other[key]), key
