"""A GPU for machines without one: tensors on `cuda` that have shapes, types and a device, and compute nothing.

torch's FakeTensorMode refuses, as a real GPU does, to compute with tensors of two devices or of types that do not go
together. Small tensors also keep their values, computed on the CPU, for schedulers, masks and lengths read from them.

What it does not show: numbers, kernels, memory, speed, several streams. What stands in for the real thing: the list of
a large tensor's booleans (all true), events and streams (they do nothing), and `nn.Module.to`, which fake modules lack.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils.weak import WeakTensorKeyDictionary

aten = torch.ops.aten
SMALL = 1 << 17  # elements: tensors up to this keep their values
VALUES: Any = WeakTensorKeyDictionary()  # of small fake tensors
READS = (aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default)


class _ValuesOutOfTorch(TorchFunctionMode):
    """Calls that leave torch for Python: a small fake tensor's values, and tensors made of fake numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), dict(kwargs or {})
        if name in ("numpy", "__array__") and args and isinstance(args[0], FakeTensor):
            value = VALUES.get(args[0])
            if value is None:
                raise RuntimeError(f"{name} of a large fake tensor {tuple(args[0].shape)} on {args[0].device}")
            with no_dispatch():
                return getattr(value, name)(*args[1:], **kwargs)
        several = func is torch.tensor and args and isinstance(args[0], list | tuple) and args[0]
        if several and isinstance(args[0][0], FakeTensor):
            made = torch.stack(list(args[0]))
            return made.to(device=kwargs.get("device") or "cpu", dtype=kwargs.get("dtype"))
        if func in (torch.empty, torch.zeros) and kwargs.get("pin_memory"):
            kwargs.pop("pin_memory")
        if func is torch.tensor and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return torch.tensor(*args, **kwargs).to(device)
        return func(*args, **kwargs)


class FakeGPU(FakeTensorMode):
    """FakeTensorMode whose small tensors keep their values, in VALUES."""

    def __init__(self):
        super().__init__(allow_non_fake_inputs=True)

    @property
    def avoid_device_init(self) -> bool:
        """True: there is no GPU to be set up, whatever torch.cuda.is_available is made to say."""
        return True

    def dispatch(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        flat, spec = pytree.tree_flatten((args, kwargs))
        known, values, device = True, [], None
        for item in flat:
            if isinstance(item, FakeTensor):
                value = VALUES.get(item)
                known = known and value is not None
                values.append(value)
                if device is None or item.fake_device.type == "cuda":
                    device = item.fake_device
            elif isinstance(item, torch.Tensor):
                known = known and item.numel() <= SMALL
                values.append(item)
                device = device or item.device
            else:
                values.append(torch.device("cpu") if isinstance(item, torch.device) else item)

        def compute() -> Any:
            own_args, own_kwargs = pytree.tree_unflatten(values, spec)
            with no_dispatch():
                return func(*own_args, **own_kwargs)

        if known and func in READS:
            return compute()
        if any(isinstance(item, torch.device) and item.type == "cuda" for item in flat):
            for item in flat:  # torch would compute with a constant for real, and so copy it to a real GPU
                if isinstance(item, FakeTensor):
                    item.constant = None
        try:
            out = super().dispatch(func, types, args, kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            if not known:
                raise
            return pytree.tree_map(lambda value: self._wrap(value, device), compute())
        fakes = [item for item in pytree.tree_leaves(out) if isinstance(item, FakeTensor)]
        if func._schema.is_mutable and not known:
            for fake in fakes:
                VALUES.pop(fake, None)
        elif known and fakes and all(fake.numel() <= SMALL for fake in fakes):
            self._keep(fakes, compute)
        return out

    def _wrap(self, value: Any, device: torch.device | None) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        settings = {"dtype": value.dtype, "device": device}
        fake = super().dispatch(aten.empty_strided.default, (), (value.size(), value.stride()), settings)
        VALUES[fake] = value
        return fake

    @staticmethod
    def _keep(fakes: list[FakeTensor], compute: Any) -> None:
        try:
            real = compute()
        except Exception:  # a kernel that the CPU lacks: shapes are known all the same
            return
        reals = [item for item in pytree.tree_leaves(real) if isinstance(item, torch.Tensor)]
        for fake, value in zip(fakes, reals, strict=False):
            if tuple(fake.shape) == tuple(value.shape) and fake.dtype == value.dtype:
                VALUES[fake] = value


def _tolist(tensor: FakeTensor) -> Any:
    """In place of FakeTensor.tolist, which reads element by element."""
    value = VALUES.get(tensor)
    if value is None and tensor.dtype == torch.bool:
        return [True] * len(tensor)  # a stand-in: whether a full-size image is finite
    if value is None:
        raise RuntimeError(f"tolist of a large fake tensor {tuple(tensor.shape)} on {tensor.device}")
    with no_dispatch():
        return value.tolist()


def _apply(module: torch.nn.Module, function: Any, recurse: bool = True) -> torch.nn.Module:
    """In place of nn.Module._apply, which cannot swap the data of fake parameters."""
    for child in module.children():
        _apply(child, function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                module._parameters[name] = torch.nn.Parameter(function(parameter), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


class _Nothing:
    """An event or a stream that does nothing."""

    def __init__(self, *arguments: Any, **settings: Any):
        pass

    def record(self, stream: Any = None) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, other: Any) -> float:
        return 1.0


@contextmanager
def fake_gpu(monkeypatch: Any) -> Iterator[torch.device]:
    """Give the block a GPU: `cuda`, one device, which supports bfloat16."""
    with ExitStack() as stack:
        stack.enter_context(FakeGPU())  # first: it asks whether there is a real GPU
        stack.enter_context(_ValuesOutOfTorch())
        _pretend(monkeypatch)
        yield torch.device("cuda", 0)


def _pretend(monkeypatch: Any) -> None:
    cuda = torch.cuda
    monkeypatch.setattr(torch.nn.Module, "_apply", _apply)
    monkeypatch.setattr(FakeTensor, "tolist", _tolist)
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_initialized": lambda: False,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_capability": lambda device=None: (9, 0),
        "current_stream": _Nothing,
        "Event": _Nothing,
    }.items():
        monkeypatch.setattr(cuda, name, value)
    # Else autocast and GradScaler switch themselves off, and nothing is shown.
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr("torch.amp.autocast_mode.torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, device=None: self)
    monkeypatch.setattr("torch._subclasses.fake_tensor.init_gpu_context", lambda device: None)
