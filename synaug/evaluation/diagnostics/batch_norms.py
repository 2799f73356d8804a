"""Main against auxiliary batch norms of a trained AuxBN model: how differently real and synthetic images pass each.

Of each channel the running statistics are taken as Gaussians N(m, v), v with the layer's eps, as the layer divides by
it. With d the difference of the means: |d| / sqrt((v_main + v_aux) / 2), Cohen's d with a pooled deviation; ln(v_aux /
v_main); and the symmetric KL divergence J = KL(main, aux) + KL(aux, main) = ((v_main + d^2) / v_aux + (v_aux + d^2) /
v_main) / 2 - 1 (Jeffreys 1946; Kullback and Leibler 1951). The mean over channels is taken, so that wide layers and
narrow ones compare.
"""

import json
from dataclasses import dataclass

import timm
import torch
from safetensors.torch import load
from torch import Tensor, nn

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.evaluation.diagnostics.schema import Branches, Layer, digest
from synaug.run.job import Job
from synaug.training import auxbn

FILES = ("done.json", "aux.safetensors")  # of a training whose auxiliary branches were kept


@dataclass(frozen=True)
class Gaussians:
    """A batch norm's running statistics and its affine parameters; all (channels,)."""

    mean: Tensor
    variance: Tensor  # with the layer's eps, float64
    weight: Tensor | None
    bias: Tensor | None


def trained(job: Job) -> dict[str, dict[int, str]]:
    """Find the trained auxbn arms whose auxiliary branches were kept: the digest of done.json, by arm and seed."""
    digests: dict[str, dict[int, str]] = {}
    for arm in (name for name, settings in job.config.arms.items() if settings.kind == "auxbn"):
        for seed in job.config.seeds:
            if all(job.store.exists(layout.training(job.run, arm, seed, file)) for file in FILES):
                done = digest(job.store, layout.training(job.run, arm, seed, "done.json"))
                digests.setdefault(arm, {})[seed] = done
    return digests


def measure(job: Job, trainings: dict[str, dict[int, str]]) -> Branches:
    """Compare main and auxiliary batch norms of trainings, which are given as `trained` returns them."""
    arms = {arm: {seed: layers(_model(job, arm, seed)) for seed in seeds} for arm, seeds in trainings.items()}
    return Branches(trained=trainings, arms=arms)


def layers(model: nn.Module) -> list[Layer]:
    """Compare the batch norms of a model with AuxBN, in its own order.

    Norms without running means and variances, like EvoNorm, are left out.
    """
    paths: dict[auxbn.AuxBatchNorm, str] = {}
    for path, layer in auxbn.layers(model).items():
        paths.setdefault(layer, path)  # a shared one has several
    compared = []
    for layer, path in paths.items():
        main, aux = _gaussians(layer.main), _gaussians(layer.aux)
        if main and aux:
            compared.append(_compare(path, main, aux))
    return compared


def _gaussians(norm: nn.Module) -> Gaussians | None:
    """Read a norm's statistics; None where it keeps none."""
    mean, variance, eps = (getattr(norm, name, None) for name in ("running_mean", "running_var", "eps"))
    if mean is None or variance is None or eps is None:
        return None
    weight, bias = (getattr(norm, name, None) for name in ("weight", "bias"))
    return Gaussians(
        mean,
        variance.double() + eps,
        weight=None if weight is None else weight.detach(),
        bias=None if bias is None else bias.detach(),
    )


def _compare(name: str, main: Gaussians, aux: Gaussians) -> Layer:
    square = (aux.mean - main.mean).double().square()
    divergence = ((main.variance + square) / aux.variance + (aux.variance + square) / main.variance) / 2 - 1
    scale = None if main.weight is None else main.weight.double().norm()
    return Layer(
        name=name,
        channels=len(square),
        mean=float((square / ((main.variance + aux.variance) / 2)).sqrt().mean()),
        variance=float((aux.variance / main.variance).log().mean()),
        divergence=float(divergence.mean()),
        weight=_relative(main.weight, aux.weight, scale),
        bias=_relative(main.bias, aux.bias, scale),
    )


def _relative(main: Tensor | None, aux: Tensor | None, scale: Tensor | None) -> float | None:
    return None if main is None or aux is None or scale is None else float((aux - main).double().norm() / scale)


def _model(job: Job, arm: str, seed: int) -> nn.Module:
    """Load the network with both branches, as it was at the end of its training."""
    frozen = json.loads(job.store.get(layout.training(job.run, arm, seed, "settings.json")))
    settings = TrainingSettings.model_validate(frozen["settings"])
    with torch.device("meta"):
        plain = timm.create_model(settings.model, num_classes=len(job.plan.classes), **settings.model_kwargs)
        model = auxbn.with_aux(plain)
    model = model.to_empty(device="cpu")
    main, aux = (
        load(job.store.get(layout.training(job.run, arm, seed, f"{name}.safetensors"))) for name in ("model", "aux")
    )
    auxbn.load_plain(model, main)
    auxbn.load_aux(model, aux)
    return model.requires_grad_(False)
