from collections import Counter

import pytest
import torch

from synaug.config.prompts import Prompts
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.prompts import reference_images
from synaug.prompts.reference_images import ReferenceImages
from tests.fakes import FakeCLIP
from tests.images_run import NAMES, images_job, write_photos


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Of three classes of one colour each; 4 images of a class are drawn from 6, the panel has 8."""
    monkeypatch.setattr(reference_images, "PANEL", 2)
    job = images_job(open_store(tmp_path / "store", create=True))
    write_photos(job.store, per_class=6)
    return ReferenceImages(
        job.store, job.config.model_copy(update={"prompts": Prompts(sense_images=4)}), job.plan, FakeCLIP()
    )


def test_a_class_has_its_own_images_and_the_panels_others(images):
    for label, class_id in enumerate(NAMES):
        own, others = images.embed(class_id).own, images.embed(class_id).others
        assert own.shape == (4, 3) and set(own.argmax(1).tolist()) == {label}
        assert label not in others.argmax(1).tolist() and len(others) >= 4


def test_the_panel_is_balanced_over_classes_and_read_once(images):
    labels, embedded = images._panel
    assert len(labels) == len(embedded) == 8 and max(Counter(labels).values()) - min(Counter(labels).values()) <= 1
    calls, embed = [], images.clip.embed_images
    images.clip.embed_images = lambda given: calls.append(len(given)) or embed(given)
    for class_id in NAMES:
        images.embed(class_id)
    assert calls == [4, 4, 4]


def test_what_is_drawn_depends_on_the_seed_alone(images):
    again = ReferenceImages(images.store, images.config, images.plan, FakeCLIP())
    for class_id in reversed(NAMES):
        first, second = images.embed(class_id), again.embed(class_id)
        assert torch.equal(first.own, second.own) and torch.equal(first.others, second.others)
    keys = {label: [drawn.key for drawn in places] for label, places in images._drawn.items()}
    other = ReferenceImages(images.store, images.config.model_copy(update={"seed": 1}), images.plan, FakeCLIP())
    assert keys != {label: [drawn.key for drawn in places] for label, places in other._drawn.items()}


def test_an_image_that_cannot_be_read_is_named(images):
    tar = layout.real_tar("train", 0)
    images.store.put(tar, bytes(images.store.size(tar)))
    with pytest.raises(
        DataError, match=r"real/train-000000\.tar: image \w+-\d cannot be decoded .* import the split again"
    ):
        images.embed("bag")
