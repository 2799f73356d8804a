"""A few timed steps of an arm before there is a synthetic image; nothing is left behind."""

import pytest
import torch

from synaug.config import arms
from synaug.config.run import TestSet
from synaug.runner.preview import benchmark
from synaug.runner.preview.training import time_arm
from synaug.training.trainer import Trainer
from tests.unit.training.helpers import add_split, config, job


@pytest.fixture
def real_only(store):
    add_split(store, "train", images=32)
    return store


@pytest.mark.parametrize("arm", ["real", "auxbn"])
def test_steps_are_timed_without_synthetic_images_and_leave_nothing(real_only, arm):
    before = set(real_only.list(""))
    settings = config()
    settings = settings.model_copy(update={"tests": {"held-out": TestSet(split="train")}})
    paces = time_arm(job(real_only, arm, settings=settings), arms.resolve_arm(settings, arm))
    step, evaluation = paces.train, paces.evaluate
    assert 0 < step.each < 5 and step.load > 0
    assert evaluation.each > 0 and evaluation.cold > 0
    assert set(real_only.list("")) == before


def test_an_evaluation_on_a_set_that_is_not_imported_is_unmeasured(real_only):
    settings = config(steps=2)  # fewer than the warm-up
    settings = settings.model_copy(update={"tests": {"missing": TestSet(split="nowhere")}})
    paces = time_arm(job(real_only, settings=settings), arms.resolve_arm(settings, "real"))
    assert paces.evaluate is None and paces.train.each > 0


def test_an_arm_whose_batch_is_too_large_for_this_device_is_unmeasured(real_only, monkeypatch):
    def too_large(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step", too_large)
    monkeypatch.setattr(benchmark, "open_job", lambda *arguments, **more: job(real_only, "real"))
    assert benchmark.measure_arm(benchmark.ArmTask(real_only.url, "first", [], "real"), print) is None
