"""One optimizer step: the network, its optimizer and schedule, mixed precision and the moving average."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

from synaug.config.arms import ResolvedArm
from synaug.config.training import TrainingSettings
from synaug.data.seeding import derive
from synaug.errors import UsageError
from synaug.training import augmentation, auxbn
from synaug.training.distributed import Ranks
from synaug.training.loader import TrainingBatch
from synaug.training.model import ModelEma, autocast


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """Compute the rate of a step, counted from 0: linear warm-up, then cosine to zero."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * done))


class Trainer:
    """The network of an arm and all that changes with each optimizer step."""

    def __init__(self, model: nn.Module, arm: ResolvedArm, ranks: Ranks, *, seed: int, classes: int, counts: list[int]):
        """counts: this rank's real and synthetic images in each batch. Raises UsageError for sync_bn without a GPU."""
        settings = arm.settings
        self.arm, self.settings, self.ranks, self.seed, self.classes = arm, settings, ranks, seed, classes
        self.n_real = counts[0]
        if settings.sync_bn:
            if ranks.device.type != "cuda":
                raise UsageError(
                    f"sync_bn on {ranks.device.type}: torch's SyncBatchNorm needs a CUDA GPU; set "
                    "training.sync_bn=false"
                )
            model = auxbn.sync(model)
        self.model = model.to(ranks.device).to(memory_format=self.memory_format)
        auxbn.set_split(self.model, n_real=counts[0], batch=sum(counts))
        self.average = ModelEma(self.model, settings.ema) if settings.ema else None
        # Nothing of one dimension decays: biases and the scales of norms, main and aux.
        momenta = (
            {"momentum": settings.momentum} if settings.optimizer == "sgd" else {"betas": (settings.momentum, 0.999)}
        )
        self.optimizer = create_optimizer_v2(
            self.model, opt=settings.optimizer, lr=settings.lr, weight_decay=settings.weight_decay, **momenta
        )
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=settings.amp == "float16")
        mean, std = augmentation.normalization(settings)
        self.mean, self.std = (255 * torch.tensor(v, device=ranks.device).view(1, 3, 1, 1) for v in (mean, std))

    @property
    def memory_format(self) -> torch.memory_format:
        """Of images and weights."""
        return torch.channels_last if self.settings.channels_last else torch.contiguous_format

    def connect(self) -> None:
        """Compile, and join the other ranks, after any checkpoint was loaded."""
        self.model.train()
        self.net = self.model
        torch.backends.cudnn.benchmark = True  # one shape for the whole training
        if self.settings.compile:
            self.model.compile()
        if self.ranks.size > 1:
            ids = [self.ranks.device.index] if self.ranks.device.type == "cuda" else None
            self.net = nn.parallel.DistributedDataParallel(self.model, device_ids=ids)

    def step(self, batch: TrainingBatch, step: int) -> Tensor:
        """Take an optimizer step, counted from 0.

        Returns this rank's share of (real loss, synthetic loss, accuracy) over the global batch, (3,) float32 on the
        device.
        """
        # Dropout is a function of the step, so that there is nothing to store.
        torch.manual_seed(derive("step", self.seed, self.ranks.rank, step))
        rate = learning_rate(self.settings, step, self.arm.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        images, labels, targets = self._inputs(batch, step)
        with autocast(self.settings, self.ranks.device):
            logits = self.net(images)
        losses = F.cross_entropy(
            logits.float(), targets, reduction="none", label_smoothing=self.settings.label_smoothing
        )
        # One mean per slice, over all ranks: with one mean over the batch, gradients of main BN would scale with the
        # share of real images.
        real = losses[: self.n_real].sum() / self.arm.n_real
        synthetic = losses[self.n_real :].sum() / max(1, self.arm.n_synthetic)
        w = self.settings.synthetic_weight if self.arm.n_synthetic else 0.0
        self.optimizer.zero_grad()
        loss = self.ranks.size * ((1 - w) * real + w * synthetic)  # DDP takes the mean over ranks
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.model, step)
        right = (logits.argmax(1) == labels).sum() / (self.arm.n_real + self.arm.n_synthetic)
        return torch.stack([real.detach(), synthetic.detach(), right])

    def _inputs(self, batch: TrainingBatch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return normalized images, labels, and targets: labels, or rows of shares where Mixup or CutMix is on."""
        device, settings = self.ranks.device, self.settings.augmentation
        if device.type == "cuda":
            batch = TrainingBatch(batch.images.pin_memory(), batch.labels.pin_memory())
        images = batch.images.to(device, memory_format=self.memory_format, non_blocking=True)
        images = (images.float() - self.mean) / self.std
        labels = targets = batch.labels.to(device, non_blocking=True)
        if settings.mixup or settings.cutmix:
            rng = np.random.default_rng(derive("mix", self.seed, step))
            targets = F.one_hot(labels, self.classes).float()
            slices = [slice(0, self.n_real), slice(self.n_real, len(images))]
            mixed = [augmentation.mixed(images[s], targets[s], settings, rng) for s in slices]
            images, targets = (torch.cat(parts) for parts in zip(*mixed, strict=True))
            images = images.contiguous(memory_format=self.memory_format)
        return images, labels, targets

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the training."""
        average = self.average.module.state_dict() if self.average else None
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": average,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises RuntimeError, KeyError or ValueError for one of another model."""
        self.model.load_state_dict(state["model"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.module.load_state_dict(state["average"], strict=True)

    @property
    def final(self) -> nn.Module:
        """The model that is tested: the moving average where there is one."""
        return self.average.module if self.average else self.model
