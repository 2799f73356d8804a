"""Auxiliary batch norm: real images are normalised by `main`, synthetic ones by `aux`; everything else is shared.

By composition, so that the activation and drop of timm's BatchNormAct2d stay inside, and the converters to SyncBN of
torch and timm replace both branches and not the routing. A batch is [real; synthetic] with a fixed split: one compiled
graph.
"""

import copy

import torch
from timm.layers import BatchNormAct2d, EvoNorm2dB0, EvoNorm2dB1, EvoNorm2dB2, convert_sync_batchnorm
from timm.layers.inplace_abn import InplaceAbn
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# BatchNorm1d/2d/3d, SyncBatchNorm and BatchNormAct2d are _BatchNorm; the others keep batch statistics of their own.
BATCH_NORMS = (_BatchNorm, BatchNormAct2d, EvoNorm2dB0, EvoNorm2dB1, EvoNorm2dB2, InplaceAbn)


class AuxBatchNorm(nn.Module):
    """Two copies of one batch-norm layer.

    In training mode the first `n_real` of every `batch` images go through `main`, the others through `aux`; in
    evaluation mode all go through `main`, or `aux` where `test_aux` is set.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.main = layer
        self.aux = copy.deepcopy(layer)
        self.training = layer.training  # not .train(): that would reach into the branches
        self.n_real: int | None = None
        self.batch: int | None = None
        self.test_aux = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (batch * k, ...) to the same shape.

        k > 1 where a model folds tokens into the batch, images outermost (LeViT). Raises ValueError for a training
        batch that set_split was not called for.
        """
        if not self.training:
            return self.aux(x) if self.test_aux else self.main(x)
        if self.batch is None or self.n_real is None or x.shape[0] % self.batch:
            raise ValueError(
                f"a training batch of {x.shape[0]}, split for {self.batch}; call set_split(model, n_real=, batch=) "
                "first"
            )
        n = x.shape[0] // self.batch * self.n_real
        # Both branches always, even on an empty slice: a rank that skipped one would break DDP's reduction or hang
        # SyncBN.
        return torch.cat([self.main(x[:n]), self.aux(x[n:])])

    def extra_repr(self) -> str:
        return f"n_real={self.n_real}, batch={self.batch}"


def with_aux(model: nn.Module) -> nn.Module:
    """Copy a model with every batch norm an AuxBatchNorm, whose aux starts as main.

    Modes, requires_grad and the source stay as they are; a model that has been converted comes back unchanged.
    """
    return model if layers(model) else _replace(copy.deepcopy(model), {})


def _replace(module: nn.Module, done: dict[nn.Module, AuxBatchNorm]) -> nn.Module:
    if isinstance(module, BATCH_NORMS):
        return done.setdefault(module, AuxBatchNorm(module)) if module not in done else done[module]
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _replace(child, done)
    return module


def layers(model: nn.Module) -> dict[str, AuxBatchNorm]:
    """List every AuxBatchNorm of the model by its path, a shared one under each of its paths."""
    return {
        name: layer for name, layer in model.named_modules(remove_duplicate=False) if isinstance(layer, AuxBatchNorm)
    }


def set_split(model: nn.Module, *, n_real: int, batch: int) -> None:
    """Fix the split of training batches, once before training: torch.compile makes one graph for each value.

    Raises ValueError for a split that cannot be.
    """
    if not 0 <= n_real <= batch or batch < 1:
        raise ValueError(f"{n_real} real images in a batch of {batch}; 0 <= n_real <= batch is needed")
    for layer in layers(model).values():
        layer.n_real, layer.batch = n_real, batch


def use_aux(model: nn.Module, aux: bool) -> None:
    """Evaluate through the auxiliary branches, to look at them; main is the one that is tested and exported."""
    for layer in layers(model).values():
        layer.test_aux = aux


def sync(model: nn.Module) -> nn.Module:
    """Take statistics over all ranks, within each branch. GPU only: SyncBatchNorm has no CPU form (pytorch#78078)."""
    return convert_sync_batchnorm(model)


def strip(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of the plain model: exactly its keys, with the values of the main branches."""
    state = model.state_dict()
    for path in layers(model):
        dot = f"{path}." if path else ""
        for key in [key for key in state if key.startswith((f"{dot}main.", f"{dot}aux."))]:
            value = state.pop(key)
            if key.startswith(f"{dot}main."):
                state[dot + key.removeprefix(f"{dot}main.")] = value
    return dict(state)


def aux_state(model: nn.Module) -> dict[str, Tensor]:
    """Return what `strip` leaves out: the values of the auxiliary branches, under the plain model's keys.

    Laid over a stripped state they give the plain model that tests through aux.
    """
    state = model.state_dict()
    found: dict[str, Tensor] = {}
    for path in layers(model):
        dot = f"{path}." if path else ""
        found |= {
            dot + key.removeprefix(f"{dot}aux."): value for key, value in state.items() if key.startswith(f"{dot}aux.")
        }
    return found


def load_aux(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load an `aux_state`, strictly, into the auxiliary branches. Raises KeyError for values of no branch."""
    state = dict(state)
    for path, layer in layers(model).items():
        dot = f"{path}." if path else ""
        layer.aux.load_state_dict({name: state.pop(dot + name) for name in layer.aux.state_dict()}, strict=True)
    if state:
        raise KeyError(f"{len(state)} values of no auxiliary branch, like {min(state)}")


def load_plain(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a plain model's state, strictly, into both branches."""
    state = dict(state)
    for path, layer in layers(model).items():
        dot = f"{path}." if path else ""
        for name in layer.main.state_dict():
            if dot + name in state:
                value = state.pop(dot + name)
                state[f"{dot}main.{name}"] = state[f"{dot}aux.{name}"] = value
    model.load_state_dict(state, strict=True)
