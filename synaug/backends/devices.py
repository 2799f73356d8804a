"""The device that `compute.device` means.

torch is imported when a device is looked for: a stage without work left goes without it.
"""

from typing import TYPE_CHECKING

from synaug.errors import UsageError

if TYPE_CHECKING:
    import torch


def find_device(name: str) -> "torch.device":
    """Find the device of auto, cpu, cuda or cuda:N. Raises UsageError for a GPU that is not there."""
    import torch

    gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdigit() or name == "cuda"):
        raise UsageError(f"compute.device={name!r} is no device; give auto, cpu, cuda or cuda:N")
    if int(number or 0) >= gpus:
        raise UsageError(
            f"compute.device={name!r}, but this machine has {gpus} usable GPUs; "
            "give auto or cpu, or start where a GPU is"
        )
    return torch.device(name)
