"""Who does what of a group of chains, and when: the rule of the local runner, as the forecast reckons with it."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """A chain's time on one of the devices, in seconds from the group's beginning."""

    chain: int
    device: int
    begin: float
    end: float


def schedule(chains: Sequence[float], devices: int) -> list[Turn]:
    """Deal out chains in their order, each to the device that is free first, the lowest of several.

    chains: seconds of each. A chain stays on its device to its end: its next task goes before what waits.
    """
    free = [(0.0, device) for device in range(devices)]
    turns = []
    for chain, seconds in enumerate(chains):
        begin, device = free[0]
        heapq.heapreplace(free, (begin + seconds, device))
        turns.append(Turn(chain, device, begin, begin + seconds))
    return turns


def makespan(chains: Sequence[float], devices: int) -> float:
    """Compute the seconds until the last chain is done."""
    return max((turn.end for turn in schedule(chains, devices)), default=0.0)
