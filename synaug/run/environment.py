"""What was measured on: the hardware and the libraries."""

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "open_clip_torch", "pillow", "numpy")


def entry(file: str, name: str) -> str | None:
    """The first `name: value` of a file under /proc."""
    path = Path("/proc") / file
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def hardware() -> dict:
    import torch

    return {
        "cpu": entry("cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "memory": entry("meminfo", "MemTotal"),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
        "system": platform.platform(),
    }


def versions() -> dict[str, str | None]:
    import torch

    return {"python": platform.python_version(), "cuda": torch.version.cuda if torch.cuda.is_available() else None} | {
        name: metadata.version(name) for name in PACKAGES
    }


def sentence() -> str:
    """`AMD EPYC, 2 cores` or `8 x NVIDIA H100, 16 cores`, for people."""
    own = hardware()
    gpus = own["gpus"]
    name = f"{len(gpus)} x {gpus[0]}" if gpus else own["cpu"]
    return f"{name}, {own['cores']} cores"
