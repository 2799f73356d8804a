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

from synaug.backends.devices import find_device
from synaug.errors import TransientError, UsageError

PATIENCE = datetime.timedelta(minutes=10)  # for a peer that is late, as after a checkpoint to a slow store
# What gloo (plain RuntimeErrors), NCCL and the rendezvous say when a peer or the store of the rendezvous is gone.
LOST_PEER = re.compile(
    r"gloo|nccl|connection (closed|reset|refused|was)|broken pipe|timed? ?out|socket|TCPStore|rendezvous|by peer",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, as one of them sees it."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add values over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            dist.barrier()


def device_of(name: str, local_rank: int, processes: int) -> torch.device:
    """Find the device of a process by `compute.device`, one GPU per process.

    Raises UsageError for a GPU that is not there.
    """
    device = find_device(
        f"cuda:{local_rank}" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else name
    )
    if device.type == "cuda":
        if processes > 1 and device.index != local_rank:
            raise UsageError(
                f"compute.device={name} puts {processes} processes on one GPU; give cuda or auto: each takes its own"
            )
        torch.cuda.set_device(device)
    return device


@contextlib.contextmanager
def init_distributed(device_name: str) -> Iterator[Ranks]:
    """Join the ranks of this job, as torchrun's environment says.

    A lost peer becomes a TransientError, which is tried again.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = device_of(
        device_name, int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    )
    if size == 1:
        yield Ranks(0, 1, device)
        return
    with lost_peers_are_transient():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        yield Ranks(dist.get_rank(), size, device)
        dist.destroy_process_group()  # not after an error: it could wait for a peer that is gone


@contextlib.contextmanager
def lost_peers_are_transient() -> Iterator[None]:
    """Turn what torch raises when a peer is gone into a TransientError."""
    try:
        yield
    except RuntimeError as error:  # dist.DistError is one; gloo raises bare ones
        if isinstance(error, dist.DistError) or LOST_PEER.search(str(error)):
            raise TransientError(
                f"rank {os.environ.get('RANK')} lost its peers ({str(error).splitlines()[0]}); run again: training "
                "goes on"
            ) from error
        raise
