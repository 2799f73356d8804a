import pytest
import timm
import torch

from synaug.evaluation import accuracy
from synaug.evaluation.diagnostics import image_sets
from synaug.evaluation.diagnostics.classifier import find_classifier
from synaug.evaluation.diagnostics.features import open_features
from tests.unit.evaluation.diagnostics import made
from tests.unit.training import helpers


@pytest.fixture
def one(empty):
    helpers.add_split(empty, "test", images=6, per_tar=4)
    job = made.job(empty)
    made.put_classifier(job)
    return job


def embedded(job, name: str) -> torch.Tensor:
    return torch.cat(list(open_features(job, name, find_classifier(job, None)).batches(image_sets.real(job, "test"))))


def test_features_come_in_the_order_of_the_tables(one):
    together = embedded(one, "classifier")
    alone = image_sets.sample_tables(one, image_sets.real(one, "test"), lambda rank, label: label == 3)
    space = open_features(one, "classifier", find_classifier(one, None))
    assert torch.allclose(torch.cat(list(space.batches(image_sets.not_empty(alone)))), together[[3]], atol=1e-5)


def test_the_classifiers_features_are_what_its_last_layer_sees(one):
    judge = find_classifier(one, None)
    network = judge.load("cpu")
    features = embedded(one, "classifier")
    assert features.shape == (6, network.num_features)
    pixels = torch.cat(
        [batch for batch, _ in accuracy.decoded(one.store, image_sets.real(one, "test"), judge.settings)]
    )
    with torch.inference_mode():
        assert torch.allclose(network.fc(features), network(pixels), atol=1e-5)


def test_clip_gives_unit_embeddings(one):
    assert torch.allclose(embedded(one, "clip").norm(dim=1), torch.ones(6), atol=1e-5)


def test_a_timm_model_sees_images_at_its_own_size(one, monkeypatch):
    create, sizes = timm.create_model, []

    def without_weights(name, pretrained=False, **options):
        model = create(name, **options)
        own = model.forward_features
        model.forward_features = lambda pixels: sizes.append(tuple(pixels.shape[1:])) or own(pixels)
        return model

    monkeypatch.setattr(timm, "create_model", without_weights)
    assert embedded(one, "timm:test_vit").shape == (6, 64)
    assert set(sizes) == {(3, 160, 160)}
    assert open_features(one, "timm:test_vit", find_classifier(one, "r/real")).model.startswith("test_vit@timm ")
