"""Ranks under torchrun: gloo on CPUs, NCCL on GPUs; one process without it."""

import contextlib
import datetime
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from synaug.errors import TransientError, UsageError

PATIENCE = datetime.timedelta(minutes=10)  # for a peer that is late, as after a checkpoint to a slow store
# What gloo (plain RuntimeErrors), NCCL and the rendezvous say when a peer or the store of the rendezvous is gone.
LOST_PEER = re.compile(
    r"gloo|nccl|connection (closed|reset|refused|was)|broken pipe|timed? ?out|socket|TCPStore|rendezvous|peer", re.IGNORECASE
)


@dataclass(frozen=True)
class Ranks:
    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values


def device_of(name: str, local_rank: int) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N`. Raises UsageError for a GPU that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise UsageError(f"device {name}: this machine has no CUDA GPU that torch sees; set compute.device=cpu, or check the driver")
    device = torch.device(name if ":" in name else f"cuda:{local_rank}")
    if device.index >= torch.cuda.device_count():
        raise UsageError(f"device {device}: there are {torch.cuda.device_count()} GPUs; start one process a GPU")
    torch.cuda.set_device(device)
    return device


@contextlib.contextmanager
def joined(device_name: str) -> Iterator[Ranks]:
    """The ranks of this job, as torchrun's environment tells. A lost peer becomes a TransientError, which is tried again."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = device_of(device_name, int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield Ranks(0, 1, device)
        return
    with lost_peers_are_transient():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        try:
            yield Ranks(dist.get_rank(), size, device)
        finally:
            dist.destroy_process_group()


@contextlib.contextmanager
def lost_peers_are_transient() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # dist.DistError is one; gloo raises bare ones
        if isinstance(error, dist.DistError) or LOST_PEER.search(str(error)):
            raise TransientError(
                f"rank {os.environ.get('RANK')} lost its peers ({str(error).splitlines()[0]}); run again: training goes on"
            ) from error
        raise
