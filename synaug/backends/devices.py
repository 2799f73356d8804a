"""The device that `compute.device` means, and the GPUs of this machine that a run is spread over.

torch is imported when a device is looked for: a stage without work left goes without it.
"""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synaug.config.run import Compute
from synaug.errors import UsageError

if TYPE_CHECKING:
    import torch

DEVICE_FILES = Path("/dev")
DRIVER = Path("/proc/driver/nvidia/version")


def find_device(name: str) -> "torch.device":
    """Find the device of auto, cpu, cuda or cuda:N.

    Raises UsageError for a GPU that is not there, and where there is one that torch cannot use: never a silent CPU run.
    """
    import torch

    if name == "cpu":
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if name == "auto":
        if not gpus:
            _refuse_unusable_gpu()
        return torch.device("cuda" if gpus else "cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdigit() or name == "cuda"):
        raise UsageError(f"compute.device={name!r} is no device; give auto, cpu, cuda or cuda:N")
    if int(number or 0) >= gpus:
        _refuse_unusable_gpu()
        raise UsageError(
            f"compute.device={name!r}, but this machine has {gpus} usable GPUs; "
            "give auto or cpu, or start where a GPU is"
        )
    return torch.device(name)


def _refuse_unusable_gpu() -> None:
    """Raises UsageError where a GPU of NVIDIA is there, not hidden by CUDA_VISIBLE_DEVICES, and torch sees none."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if (hidden is not None and not _tokens(hidden)) or not _device_files():
        return
    import torch

    version = re.search(r"Module\s+([\d.]+)", DRIVER.read_text()) if DRIVER.exists() else None
    driver = f"driver {version[1]}" if version else "a driver of unknown version"
    built = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"
    if torch.version.cuda is None:
        built = f"torch {torch.__version__} is built without CUDA"
    raise UsageError(
        f"this machine has an NVIDIA GPU ({driver}) that torch cannot use ({built}); install a driver and a torch that "
        "fit each other, or set compute.device=cpu"
    )


def _device_files() -> list[Path]:
    return sorted(path for path in DEVICE_FILES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name))


def _tokens(visible: str) -> list[str]:
    """The devices that a CUDA_VISIBLE_DEVICES names; CUDA stops reading at the first that it does not know."""
    names = [name.strip() for name in visible.split(",")]
    end = next((n for n, name in enumerate(names) if name in ("", "-1", "NoDevFiles")), len(names))
    return names[:end]


def find_gpus() -> list[str]:
    """Find the visible GPUs, each as CUDA_VISIBLE_DEVICES would name it: 0, GPU-..., or an instance of MIG.

    torch counts them through NVML where it can; the fork server of the workers is another process, which asks nothing.
    Of instances of MIG, CUDA shows several only where they are named.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return _tokens(visible)
    if not _device_files():
        return []
    import torch

    return [str(n) for n in range(torch.cuda.device_count())]


@dataclass(frozen=True)
class LocalDevices:
    """The processes of a local run. gpus: the GPUs of each, held by no other; empty on a CPU.

    device: compute.device of a process, which sees its own GPUs only.
    """

    workers: int
    gpus: Sequence[str] = ()
    device: str | None = None

    def grouped(self, each: int) -> "LocalDevices":
        """Give each process so many GPUs. Raises UsageError where there are fewer."""
        if each == 1 or not self.gpus:
            return self
        if each > len(self.gpus):
            raise UsageError(f"compute.gpus_per_training={each}, but the run has {len(self.gpus)} GPUs; give fewer")
        sets = [",".join(self.gpus[n : n + each]) for n in range(0, len(self.gpus) - each + 1, each)]
        return LocalDevices(len(sets), sets, self.device)

    def without(self, failed: Collection[str]) -> "LocalDevices":
        """Leave out GPUs that failed, each as its process saw it: one, or several with commas."""
        gone = {gpu for names in failed for gpu in names.split(",")}
        left = [gpu for gpu in self.gpus if gpu not in gone]
        return LocalDevices(len(left), left, self.device) if gone else self


def choose_local_devices(compute: Compute, threads: int) -> LocalDevices:
    """Choose the processes of a local run: one a GPU, or on a CPU one per `threads` cores; compute.workers lowers it.

    Raises UsageError for GPUs that are not there or that torch cannot use.
    """
    cores = len(os.sched_getaffinity(0))
    gpus = [] if compute.device == "cpu" else find_gpus()
    if not gpus:
        if compute.device != "cpu":
            _refuse_unusable_gpu()
        if compute.local_gpus != "auto" and compute.device != "cpu":
            raise UsageError(
                f"compute.local_gpus={compute.local_gpus}, but this machine has no usable GPU; leave it out, or start "
                "where GPUs are"
            )
        return LocalDevices(compute.workers or max(1, cores // threads))
    chosen = _choose(compute, gpus)
    if compute.workers > len(chosen):
        raise UsageError(
            f"compute.workers={compute.workers}, but the run has {len(chosen)} GPUs and each process holds its own; "
            f"give at most {len(chosen)}, or 0 for all"
        )
    chosen = chosen[: compute.workers or len(chosen)]
    return LocalDevices(len(chosen), chosen, "cuda")


def _choose(compute: Compute, gpus: list[str]) -> list[str]:
    kind, _, number = compute.device.partition(":")
    if kind == "cuda" and number:
        wanted: list[int] = [int(number)]
    elif compute.local_gpus == "auto":
        wanted = list(range(len(gpus)))
    elif isinstance(compute.local_gpus, int):
        wanted = list(range(compute.local_gpus))
    else:
        wanted = list(dict.fromkeys(compute.local_gpus))
    for index in wanted:
        if index >= len(gpus):
            setting = f"compute.device={compute.device}" if number else f"compute.local_gpus={compute.local_gpus}"
            raise UsageError(f"{setting}: there is no GPU {index}; this machine shows {len(gpus)}, numbered from 0")
    return [gpus[index] for index in wanted]
