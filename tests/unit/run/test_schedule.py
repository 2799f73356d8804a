"""Chains on devices: no device holds two at once, none is idle while a chain waits, the order is the given one."""

from itertools import pairwise
from random import Random

import pytest

from synaug.run.schedule import Turn, makespan, schedule


@pytest.mark.parametrize(
    ("chains", "devices", "seconds"), [([4, 1, 1, 1], 2, 4), ([1, 1, 4], 2, 5), ([], 2, 0), ([3, 3, 3], 1, 9)]
)
def test_the_longest_chain_bounds_the_time(chains, devices, seconds):
    assert makespan(chains, devices) == seconds


def test_a_chain_goes_to_the_device_that_is_free_first():
    assert schedule([3, 1, 1, 5], 2) == [Turn(0, 0, 0, 3), Turn(1, 1, 0, 1), Turn(2, 1, 1, 2), Turn(3, 1, 2, 7)]


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_no_device_holds_two_chains_and_none_waits_for_a_free_one(devices):
    draw = Random(devices)
    chains = [draw.uniform(0.1, 9) for _ in range(33)]
    turns = schedule(chains, devices)
    assert [turn.chain for turn in turns] == list(range(33))
    assert [turn.begin for turn in turns] == sorted(turn.begin for turn in turns)
    for device in range(devices):
        own = [turn for turn in turns if turn.device == device]
        assert own[0].begin == 0
        assert all(now.begin == before.end for before, now in pairwise(own))
    longest, share = max(chains), sum(chains) / devices
    assert max(longest, share) - 1e-9 <= makespan(chains, devices) <= share + longest
