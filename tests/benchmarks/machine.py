"""What a benchmark ran on."""

import contextlib
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "open_clip_torch", "pillow", "numpy")


def _entry(file: str, name: str) -> str | None:
    """The first `name: value` of a file under /proc."""
    path = Path("/proc") / file
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def hardware() -> dict:
    return {
        "cpu": _entry("cpuinfo", "model name") or platform.processor(), "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(), "memory": _entry("meminfo", "MemTotal"),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())], "system": platform.platform(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "cuda": torch.version.cuda if torch.cuda.is_available() else None} | {
        name: metadata.version(name) for name in PACKAGES
    }


def resident() -> int:
    """Bytes of this process in memory."""
    size = _entry("self/status", "VmRSS")
    if size is None:
        raise OSError("no VmRSS in /proc/self/status: this benchmark needs Linux")
    return int(size.split()[0]) * 1024


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Only so many cores for this thread and those it starts: helper threads find no idle core to hide on. Off Linux: no limit."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
