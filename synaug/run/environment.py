"""The hardware and the libraries: what was measured on, and what the bytes of an image depend on besides its inputs.

torch is imported where it is needed: plan and status start without it.
"""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synaug import __version__

if TYPE_CHECKING:
    import torch

OF_IMAGES = ("torch", "diffusers", "transformers", "pillow")
OF_PLANS = ("synaug", "torch", "diffusers", "transformers", "open_clip_torch", "timm", "pillow", "numpy")
OF_MEASUREMENTS = ("torch", "torchvision", "diffusers", "transformers", "timm", "open_clip_torch", "pillow", "numpy")


def entry(file: str, name: str) -> str | None:
    """Read the first `name: value` of a file under /proc."""
    path = Path("/proc") / file
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def hardware() -> dict[str, Any]:
    """Describe this machine's CPU, memory, GPUs and system."""
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
    """Return the versions that a measurement depends on: Python, CUDA where it is usable, and the libraries."""
    import torch

    return {"python": platform.python_version(), "cuda": torch.version.cuda if torch.cuda.is_available() else None} | {
        name: metadata.version(name) for name in OF_MEASUREMENTS
    }


def image_versions(device: "torch.device") -> dict[str, str]:
    """Return what an image's bytes depend on besides its inputs: libraries, GPU or the CPU's instructions."""
    import torch

    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"CPU {torch.backends.cpu.get_cpu_capability()}"
    return {package: metadata.version(package) for package in OF_IMAGES} | {"device": name}


def plan_versions() -> dict[str, str]:
    """Return the versions that a plan records; imports none of the libraries."""
    installed = {"python": platform.python_version()}
    for name in OF_PLANS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # synaug itself, run from a checkout
            installed[name] = __version__
    return installed


def sentence() -> str:
    """Name this machine for people: `AMD EPYC, 2 cores` or `8 x NVIDIA H100, 16 cores`."""
    own = hardware()
    gpus = own["gpus"]
    name = f"{len(gpus)} x {gpus[0]}" if gpus else own["cpu"]
    return f"{name}, {own['cores']} cores"
