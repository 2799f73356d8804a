"""Where models run."""

from synaug.config import Config
from synaug.errors import ModelError


def device_of(config: Config) -> str:
    """`compute.device` as torch names it; auto: the first GPU, else the CPU. Raises ModelError for a GPU that is not there."""
    import torch

    wanted = config.compute.device
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"compute.device is {wanted!r}, but torch sees no CUDA device here; set compute.device=cpu or auto")
    return wanted
