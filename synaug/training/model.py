"""The network of an arm: a timm model, plain or with AuxBN, and its export as plain timm weights."""

import contextlib
import copy
import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from torch import nn

from synaug.config.suggest import did_you_mean
from synaug.config.training import TrainingSettings
from synaug.errors import ModelError, UsageError
from synaug.training import auxbn


def create(settings: TrainingSettings, classes: int) -> nn.Module:
    """Create the plain model with its starting weights.

    Raises ModelError for an unknown model, or arguments or weights that do not fit.
    """
    if settings.model not in timm.list_models():
        hint = did_you_mean(settings.model, timm.list_models()) or "; see timm.list_models()"
        raise ModelError(f"timm has no model {settings.model!r}{hint}")
    from_timm = settings.pretrained == "timm"
    try:
        model = timm.create_model(settings.model, pretrained=from_timm, num_classes=classes, **settings.model_kwargs)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        what = "weights of timm model" if from_timm else "timm model"
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{what} {settings.model} with model_kwargs {settings.model_kwargs}: {reason}; correct "
            "training.model_kwargs or pretrained"
        ) from error
    if settings.pretrained and not from_timm:
        start_from(model, Path(settings.pretrained))
    return model


def start_from(model: nn.Module, path: Path) -> None:
    """Load a file of plain weights, strictly, but for a classifier with other classes. Raises ModelError."""
    try:
        loaded: dict[str, Any] = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"pretrained {path} cannot be read ({str(error).splitlines()[0]}); give a .safetensors or a .pt state of "
            f"{type(model).__name__}"
        ) from None
    state: dict[str, torch.Tensor] = loaded.get("state_dict", loaded)
    own, head = model.state_dict(), tuple(f"{name}." for name in _classifiers(model))

    def fits(key: str) -> bool:
        return key in state and key in own and state[key].shape == own[key].shape

    wrong = [key for key in own | state if not fits(key) and not key.startswith(head)]
    if wrong:
        raise ModelError(
            f"pretrained {path} does not fit {type(model).__name__}: {len(wrong)} keys are missing, unknown or of "
            f"another shape, like {wrong[0]}; give weights of the same timm model and model_kwargs"
        )
    # Not strict: the classifier may be of other classes.
    model.load_state_dict({key: state[key] for key in own if fits(key)}, strict=False)


def _classifiers(model: nn.Module) -> list[str]:
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or []
    return [names] if isinstance(names, str) else list(names)


def for_arm(model: nn.Module, *, kind: str, name: str) -> nn.Module:
    """Convert a plain model to the arm's, with AuxBN where it has that.

    Raises UsageError for a model without batch norm.
    """
    if kind != "auxbn":
        return model
    converted = auxbn.with_aux(model)
    if not auxbn.layers(converted):
        raise UsageError(
            f"arm {name} is auxbn, and {type(model).__name__} has no batch norm; train it on the plain mix: kind naive"
        )
    return converted


def export(model: nn.Module) -> bytes:
    """Write plain timm weights as safetensors, main branches only.

    Equal weights give equal bytes: the header has one entry, for the order of several is random.
    """
    return _saved(auxbn.strip(model))


def export_aux(model: nn.Module) -> bytes | None:
    """Write the auxiliary branches under the plain model's keys, as safetensors; None where the model has none."""
    state = auxbn.aux_state(model)
    return _saved(state) if state else None


def _saved(state: dict[str, torch.Tensor]) -> bytes:
    state = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
    return safetensors.torch.save(state, {"format": "pt"})


class ModelEma:
    """A moving average of the weights, warmed up.

    Buffers (BN statistics) are copied, not averaged: timm's ModelEmaV3 blends them too.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.module, self.decay = copy.deepcopy(model).eval().requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step `step` (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), weight)
        for own, other in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(other)


def autocast(settings: TrainingSettings, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Set mixed precision, as the settings ask for it, for a forward pass."""
    if settings.amp == "none":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, settings.amp))
