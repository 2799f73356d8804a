"""ResNet-50 with AuxBN on a fake GPU: mixed precision, SyncBN in its place, the loss; and its evaluation.

Forward and loss: torch's fake mode has no backward across devices; gradients are tested on the CPU.
"""

import pytest
import torch

from synaug.config import arms
from synaug.evaluation import accuracy
from synaug.training import model
from synaug.training.distributed import Ranks
from synaug.training.loader import TrainingBatch
from synaug.training.trainer import Trainer
from tests.fake_gpu.device import fake_gpu
from tests.unit.training import helpers

CLASSES = 1000


@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_a_step_of_resnet50_with_auxbn_runs_up_to_its_loss(amp, monkeypatch):
    settings = {"model": "resnet50", "image_size": 224, "amp": amp, "sync_bn": True, "channels_last": True}
    config = helpers.config({"a": {"kind": "auxbn", "scale": "1x"}}, **settings)
    arm = arms.resolve_arm(config, "a")
    seen: list[torch.dtype] = []
    network = model.for_arm(model.create(arm.settings, CLASSES), kind="auxbn", name="a")
    with fake_gpu(monkeypatch) as gpu:
        monkeypatch.setattr(torch.Tensor, "backward", lambda self: None)
        trainer = Trainer(network, arm, Ranks(0, 1, gpu), seed=0, classes=CLASSES, counts=[4, 4])
        assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in trainer.model.modules())
        assert trainer.scaler.is_enabled() is (amp == "float16")
        monkeypatch.setattr(trainer.scaler, "step", lambda optimizer: None)
        monkeypatch.setattr(trainer.scaler, "update", lambda: None)
        trainer.connect()
        trainer.model.fc.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
        images = torch.zeros(8, 3, 224, 224, dtype=torch.uint8)
        losses = trainer.step(TrainingBatch(images, torch.zeros(8, dtype=torch.int64)), 0)
    assert losses.shape == (3,) and losses.device.type == "cuda" and losses.dtype == torch.float32
    assert seen == [getattr(torch, amp)]


def test_an_evaluation_brings_its_answers_back(monkeypatch):
    config = helpers.config({"a": {"kind": "real"}}, model="resnet50", image_size=224)
    settings = arms.resolve_arm(config, "a").settings
    with fake_gpu(monkeypatch) as gpu:
        network = model.create(settings, CLASSES).eval().to(gpu)
        monkeypatch.setattr(torch.Tensor, "isfinite", lambda self: torch.ones(1, dtype=torch.bool))  # a stand-in
        batches = iter([(torch.zeros(8, 3, 224, 224), torch.arange(8))])
        (counts,) = accuracy.count(network, batches, CLASSES, device=gpu)
    assert counts.images.shape == (CLASSES,) and counts.images.device.type == "cpu"
