import copy

import pytest
import torch
import torch.nn.functional as F

from synaug.config import arms
from synaug.config.training import TrainingSettings
from synaug.errors import UsageError
from synaug.training import auxbn, model
from synaug.training.distributed import Ranks
from synaug.training.loader import TrainingBatch
from synaug.training.trainer import Trainer, learning_rate
from tests.unit.training import helpers

CPU = torch.device("cpu")
VIT = {"model": "test_vit", "model_kwargs": {"img_size": 16, "patch_size": 4}}


def trainer(kind: str = "naive", *, ranks: Ranks = Ranks(0, 1, CPU), counts=(4, 4), **training) -> Trainer:  # noqa: B008  frozen
    config = helpers.config({"a": {"kind": kind, "scale": "1x"}}, **training)
    resolved = arms.resolve_arm(config, "a")
    torch.manual_seed(0)
    network = model.for_arm(model.create(resolved.settings, 4), kind=kind, name="a")
    made = Trainer(network, resolved, ranks, seed=0, classes=4, counts=list(counts))
    made.model.train()
    made.net = made.model  # without the collectives of connect()
    return made


def batch(n: int = 8) -> TrainingBatch:
    generator = torch.Generator().manual_seed(0)
    return TrainingBatch(
        torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=generator), torch.arange(n) % 4
    )


def gradients(network) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.mark.parametrize("w", [0.5, 0.2])
def test_the_loss_is_a_weighted_mean_of_the_slices_means(w):
    made = trainer(synthetic_weight=w, **VIT)
    reference, data = copy.deepcopy(made.model), batch()
    real, synthetic, accuracy = made.step(data, 0).tolist()
    logits = reference((data.images.float() - made.mean) / made.std)
    losses = F.cross_entropy(logits, data.labels, reduction="none", label_smoothing=0.1)
    ((1 - w) * losses[:4].mean() + w * losses[4:].mean()).backward()
    assert torch.allclose(gradients(made.model), gradients(reference), atol=1e-6)
    assert (real, synthetic) == pytest.approx((losses[:4].mean().item(), losses[4:].mean().item()), abs=1e-6)
    assert accuracy == pytest.approx((logits.argmax(1) == data.labels).float().mean().item())


def test_the_mean_over_ranks_is_the_gradient_of_one_process():
    """Also where the slices of the ranks are not equal: 3 and 1 of 4."""
    whole, data = trainer(**VIT), batch()
    whole.step(data, 0)
    parts = [[0, 1, 2, 4, 5, 6], [3, 7]]
    made = [
        trainer(ranks=Ranks(rank, 2, CPU), counts=(len(p) // 2, len(p) // 2), **VIT) for rank, p in enumerate(parts)
    ]
    for one, part in zip(made, parts, strict=True):
        one.step(TrainingBatch(data.images[part], data.labels[part]), 0)
    mean = sum(gradients(one.model) for one in made) / 2
    assert torch.allclose(mean, gradients(whole.model), atol=1e-6)


def test_real_images_touch_main_and_synthetic_ones_aux():
    made = trainer("auxbn")
    layer, data = made.model.bn1, batch()
    data.images[4:] = 0
    made.step(data, 0)
    assert layer.main.running_mean.abs().sum() > 0
    assert not torch.allclose(layer.main.running_mean, layer.aux.running_mean)


def test_the_rate_warms_up_and_falls_to_zero():
    settings = TrainingSettings(lr=1.0, warmup_steps=4)
    rates = [learning_rate(settings, step, 24) for step in range(24)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0] and rates[4] == 1.0
    assert rates[14] == pytest.approx(0.5) and rates[-1] < 0.01 and rates[4:] == sorted(rates[4:], reverse=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_norms_and_biases_do_not_decay(optimizer):
    made = trainer("auxbn", optimizer=optimizer, weight_decay=0.1)
    decayed = {id(p) for group in made.optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in made.model.parameters() if p.ndim > 1}
    for layer in auxbn.layers(made.model).values():
        assert not decayed & {id(p) for p in layer.parameters()}


def test_mixup_and_cutmix_never_mix_the_slices():
    for kind in ("mixup", "cutmix"):
        made = trainer(augmentation={"crop": "none", kind: 1.0})
        images = torch.cat(
            [torch.full((4, 3, 16, 16), 50, dtype=torch.uint8), torch.full((4, 3, 16, 16), 200, dtype=torch.uint8)]
        )
        for step in range(10):
            mixed, _, targets = made._inputs(TrainingBatch(images, torch.tensor([0, 1, 0, 1, 2, 3, 2, 3])), step)
            assert torch.allclose(mixed, (images.float() - made.mean) / made.std, atol=1e-5)
            assert not targets[:4, 2:].any() and not targets[4:, :2].any()


def test_dropout_is_a_function_of_the_step():
    kwargs = helpers.MODEL["model_kwargs"] | {"drop_rate": 0.5}
    losses = [trainer(model_kwargs=kwargs).step(batch(), step).tolist() for step in (3, 4, 3)]
    torch.manual_seed(99)
    assert losses[0] == losses[2] != losses[1]


def test_sync_bn_on_a_cpu_is_refused():
    with pytest.raises(UsageError, match=r"sync_bn on cpu.*set training\.sync_bn=false"):
        trainer("auxbn", sync_bn=True)


@pytest.mark.parametrize("amp", ["none", "bfloat16"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_precision_and_memory_format_leave_the_loss_about_equal(amp, channels_last):
    expected = trainer("auxbn").step(batch(), 0)
    assert torch.allclose(trainer("auxbn", amp=amp, channels_last=channels_last).step(batch(), 0), expected, rtol=0.05)


def test_state_holds_everything_that_the_next_step_needs():
    whole = trainer("auxbn", ema=0.9, optimizer="adamw", lr=0.01)
    for step in range(3):
        whole.step(batch(), step)
    again = trainer("auxbn", ema=0.9, optimizer="adamw", lr=0.01)
    again.load(copy.deepcopy(whole.state()))
    assert torch.equal(whole.step(batch(), 3), again.step(batch(), 3))
    assert torch.equal(whole.step(batch(), 4), again.step(batch(), 4))
    for a, b in zip(whole.final.state_dict().values(), again.final.state_dict().values(), strict=True):
        assert torch.equal(a, b)
