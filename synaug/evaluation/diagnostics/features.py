"""Feature spaces that images are compared in.

The run's CLIP, the real-trained classifier before its last layer, or another timm model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Protocol, cast

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from synaug.backends import hub
from synaug.backends.clip import open_clip_model
from synaug.backends.devices import find_device
from synaug.backends.resolve import resolve_clip
from synaug.config.training import TrainingSettings
from synaug.errors import ModelError, UsageError
from synaug.evaluation import accuracy
from synaug.evaluation.diagnostics.classifier import Classifier
from synaug.evaluation.diagnostics.image_sets import Tables
from synaug.run.job import Job

TIMM = "timm:"
DEFAULT = ("clip", "classifier")


class TimmNetwork(Protocol):
    """What every timm model has beside torch's Module."""

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def forward_features(self, x: Tensor) -> Tensor: ...
    def forward_head(self, x: Tensor, *, pre_logits: bool) -> Tensor: ...


@dataclass(frozen=True)
class Clip:
    """Unit embeddings."""

    job: Job

    @property
    def model(self) -> str:
        info = resolve_clip(self.job.config)
        return f"{info.name}@{info.revision}"

    def batches(self, tables: Tables) -> Iterator[Tensor]:
        clip = open_clip_model(self.job.config)
        threads = self.job.config.compute.loader_threads
        for pictures, _ in accuracy.read(self.job.store, tables, lambda image: image, threads=threads):
            yield clip.embed_images(pictures)


@dataclass(frozen=True)
class Trained:
    """The classifier's pooled features, which its last layer sees."""

    job: Job
    classifier: Classifier

    @property
    def model(self) -> str:
        return f"{self.classifier.name}@{self.classifier.trained}"

    def batches(self, tables: Tables) -> Iterator[Tensor]:
        yield from _penultimate(self.job, self._network, self.classifier.settings, tables)

    @cached_property
    def _network(self) -> nn.Module:
        return self.classifier.load(find_device(self.job.config.compute.device))


@dataclass(frozen=True)
class Timm:
    """A pretrained timm model's pooled features, at its own size and normalization."""

    job: Job
    name: str

    @property
    def model(self) -> str:
        return f"{self.name}@timm {version('timm')}"

    def batches(self, tables: Tables) -> Iterator[Tensor]:
        data = resolve_model_data_config(self._network)
        settings = TrainingSettings(model=self.name, image_size=data["input_size"][-1], test_crop=data["crop_pct"])
        yield from _penultimate(self.job, self._network, settings, tables)

    @cached_property
    def _network(self) -> nn.Module:
        try:
            model = timm.create_model(self.name, pretrained=True, num_classes=0)
        except (OSError, RuntimeError, ValueError) as error:
            fix = "name a model whose weights are in the cache or on a hub that can be reached, or take --features clip"
            raise hub.load_error(error, f"timm model {self.name}", fix) from error
        return model.eval().to(find_device(self.job.config.compute.device))


Features = Clip | Trained | Timm


def open_features(job: Job, name: str, classifier: Classifier) -> Features:
    """Choose a feature space by its name, and load nothing yet.

    name: clip, classifier or timm:NAME. Raises UsageError for another, ModelError for one that timm has not.
    """
    if name == "clip":
        return Clip(job)
    if name == "classifier":
        return Trained(job, classifier)
    if not name.startswith(TIMM):
        raise UsageError(
            f"--features {name!r} is unknown; give clip, classifier or {TIMM}NAME, like {TIMM}vit_small_patch14_dinov2"
        )
    if not timm.is_model(name.removeprefix(TIMM)):
        raise ModelError(f"--features {name}: timm has no such model; see timm.list_models()")
    return Timm(job, name.removeprefix(TIMM))


@torch.inference_mode()
def _penultimate(job: Job, model: nn.Module, settings: TrainingSettings, tables: Tables) -> Iterator[Tensor]:
    network = cast(TimmNetwork, model)
    device = next(network.parameters()).device
    for pixels, _ in accuracy.decoded(job.store, tables, settings, threads=job.config.compute.loader_threads):
        features = network.forward_features(pixels.to(device))
        yield network.forward_head(features, pre_logits=True).float().cpu()
