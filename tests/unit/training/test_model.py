import pytest
import safetensors.torch
import timm
import torch

from synaug.config.training import TrainingSettings
from synaug.errors import ModelError
from synaug.training import auxbn, model

KWARGS = {"channels": [8, 8, 16, 16], "stem_width": 8}


def settings(**values) -> TrainingSettings:
    return TrainingSettings(**{"model": "test_resnet", "model_kwargs": KWARGS} | values)


def weights(path, classes: int = 5, **kwargs):
    torch.manual_seed(3)
    source = timm.create_model("test_resnet", num_classes=classes, **KWARGS | kwargs)
    state = source.state_dict()
    safetensors.torch.save_file(state, path) if path.suffix == ".safetensors" else torch.save(
        {"state_dict": state}, path
    )
    return state


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_pretrained_weights_enter_both_branches(tmp_path, name):
    state = weights(tmp_path / name)
    started = model.for_arm(model.create(settings(pretrained=str(tmp_path / name)), 5), kind="auxbn", name="a")
    assert all(torch.equal(value, state[key]) for key, value in auxbn.strip(started).items())
    for layer in auxbn.layers(started).values():
        assert all(
            torch.equal(a, b)
            for a, b in zip(layer.main.state_dict().values(), layer.aux.state_dict().values(), strict=True)
        )


def test_a_classifier_of_other_classes_is_left_out(tmp_path):
    state = weights(tmp_path / "w.pt", classes=9)
    started = model.create(settings(pretrained=str(tmp_path / "w.pt")), 5).state_dict()
    assert started["fc.weight"].shape[0] == 5 and torch.equal(
        started["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"]
    )


def test_weights_that_do_not_fit_are_refused(tmp_path):
    weights(tmp_path / "wide.pt", stem_width=16)
    with pytest.raises(ModelError, match=r"wide\.pt does not fit ResNet: \d+ keys .* like conv1"):
        model.create(settings(pretrained=str(tmp_path / "wide.pt")), 5)
    (tmp_path / "text.pt").write_text("no weights")
    for name in ("text.pt", "missing.safetensors"):
        with pytest.raises(ModelError, match=f"pretrained .*{name} cannot be read"):
            model.create(settings(pretrained=str(tmp_path / name)), 5)


def test_mistakes_in_the_model_are_named():
    with pytest.raises(ModelError, match=r"timm has no model 'resnet51'; did you mean resnet\d+"):
        model.create(settings(model="resnet51"), 5)
    with pytest.raises(ModelError, match=r"model_kwargs .*'depth'"):
        model.create(settings(model_kwargs={"depth": 3}), 5)


def test_equal_weights_export_to_equal_bytes_and_load_strictly():
    torch.manual_seed(0)
    plain = timm.create_model("test_resnet", num_classes=5, **KWARGS)
    data = model.export(auxbn.with_aux(plain))
    assert data == model.export(plain) == model.export(auxbn.with_aux(plain))
    timm.create_model("test_resnet", num_classes=5, **KWARGS).load_state_dict(safetensors.torch.load(data), strict=True)


def test_the_average_warms_up_and_copies_buffers():
    network = timm.create_model("test_resnet", num_classes=5, **KWARGS).train()
    average = model.ModelEma(network, 0.9)
    before = average.module.fc.weight.clone()
    with torch.no_grad():
        network.fc.weight.add_(1.0)
        network.bn1.running_mean.fill_(5.0)
    average.update(network, 0)
    assert torch.allclose(average.module.fc.weight - before, torch.tensor(0.9))  # decay 1/10 at the first step
    assert (average.module.bn1.running_mean == 5.0).all() and not average.module.training
    for step in range(1, 200):
        average.update(network, step)
    assert torch.allclose(average.module.fc.weight, network.fc.weight, atol=1e-5)
    assert not any(p.requires_grad for p in average.module.parameters())
