"""Main against auxiliary batch norms of a trained AuxBN model, layer by layer: how differently real and synthetic images come through it.

Of each channel the running statistics are taken as Gaussians N(m, v), v with the layer's eps, as the layer divides by it. With d the
difference of the means: |d| / sqrt((v_main + v_aux) / 2), Cohen's d with a pooled deviation; ln(v_aux / v_main); and the symmetric
KL divergence J = KL(main, aux) + KL(aux, main) = ((v_main + d^2) / v_aux + (v_aux + d^2) / v_main) / 2 - 1 (Jeffreys 1946; Kullback and
Leibler 1951). The mean over channels is taken, so that wide layers and narrow ones compare.
"""

import json

import timm
import torch
from safetensors.torch import load
from torch import nn

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.evaluation.diagnostics.schema import Branches, Layer, digest
from synaug.run.job import Job
from synaug.training import auxbn


def trained(job: Job) -> dict[str, dict[int, str]]:
    """Digest of done.json by arm of kind auxbn and seed, of those that are trained and whose auxiliary branches were kept."""
    found: dict[str, dict[int, str]] = {}
    for arm, own in job.config.arms.items():
        for seed in job.config.seeds if own.kind == "auxbn" else []:
            if all(
                job.store.exists(layout.training(job.run, arm, seed, name)) for name in ("done.json", "aux.safetensors")
            ):
                found.setdefault(arm, {})[seed] = digest(job.store, layout.training(job.run, arm, seed, "done.json"))
    return found


def measure(job: Job, given: dict[str, dict[int, str]]) -> Branches:
    """given: as `trained` has it."""
    return Branches(
        trained=given,
        arms={arm: {seed: layers(_model(job, arm, seed)) for seed in seeds} for arm, seeds in given.items()},
    )


def layers(model: nn.Module) -> list[Layer]:
    """Of a model with AuxBN, in its own order. Norms without running means and variances, like EvoNorm, are left out."""
    paths: dict[nn.Module, str] = {}
    for path, layer in auxbn.layers(model).items():
        paths.setdefault(layer, path)  # a shared one has several
    return [_layer(path, layer.main, layer.aux) for layer, path in paths.items() if _has_statistics(layer.main)]


def _has_statistics(norm: nn.Module) -> bool:
    return getattr(norm, "running_mean", None) is not None and getattr(norm, "running_var", None) is not None


def _layer(name: str, main: nn.Module, aux: nn.Module) -> Layer:
    difference = (aux.running_mean - main.running_mean).double()
    of_main, of_aux = (norm.running_var.double() + norm.eps for norm in (main, aux))
    square = difference.square()
    divergence = ((of_main + square) / of_aux + (of_aux + square) / of_main) / 2 - 1
    weight, bias = (getattr(main, part, None) for part in ("weight", "bias"))
    scale = None if weight is None else weight.double().norm()
    return Layer(
        name=name,
        channels=len(difference),
        mean=float((square / ((of_main + of_aux) / 2)).sqrt().mean()),
        variance=float((of_aux / of_main).log().mean()),
        divergence=float(divergence.mean()),
        weight=None if scale is None else float((aux.weight - weight).double().norm() / scale),
        bias=None if scale is None or bias is None else float((aux.bias - bias).double().norm() / scale),
    )


def _model(job: Job, arm: str, seed: int) -> nn.Module:
    """The network with both branches, as it was at the end of its training."""
    settings = TrainingSettings.model_validate(
        json.loads(job.store.get(layout.training(job.run, arm, seed, "settings.json")))["settings"]
    )
    with torch.device("meta"):
        model = auxbn.with_aux(
            timm.create_model(settings.model, num_classes=len(job.plan.classes), **settings.model_kwargs)
        )
    model = model.to_empty(device="cpu")
    main, aux = (
        load(job.store.get(layout.training(job.run, arm, seed, f"{name}.safetensors"))) for name in ("model", "aux")
    )
    auxbn.load_plain(model, main)
    auxbn.load_aux(model, aux)
    return model.requires_grad_(False)
