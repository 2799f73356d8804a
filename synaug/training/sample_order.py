"""In which order samples are read: a pure function of (seed, source, pass, position).

Whole tars are permuted and dealt to `window` lanes. A lane reads its tars one after the other, each shuffled; the lanes
are interleaved at random in proportion to their lengths. So at most `window` tars are read from at a time, each sample
comes once a pass, and the mix of the window holds from the first sample to the last.
"""

import functools

import numpy as np

from synaug.data.seeding import derive

MIX = 0.9  # of the distinct classes of a uniform draw; 0.8 is promised


class SampleOrder:
    """Endless passes over samples numbered through the tars. lengths: samples of each tar."""

    def __init__(self, lengths: list[int], *, seed: int, source: str, window: int):
        self.lengths = np.asarray(lengths, np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.seed, self.source, self.window = seed, source, window
        self.permutation = functools.lru_cache(maxsize=2)(self._permutation)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def _permutation(self, pass_number: int) -> np.ndarray:
        rng = np.random.default_rng(derive("order", self.seed, self.source, pass_number))
        tars = rng.permutation(len(self.lengths))
        when = np.empty(len(self))
        lanes = min(self.window, len(tars))
        for lane in range(lanes):
            samples = np.concatenate([self.starts[t] + rng.permutation(self.lengths[t]) for t in tars[lane::lanes]])
            when[samples] = (np.arange(len(samples)) + rng.random(len(samples))) / len(samples)
        return np.argsort(when, kind="stable")

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pass and sample number, int64, of the positions start ... stop - 1."""
        passes, offsets = np.divmod(np.arange(start, stop), len(self))
        samples = np.empty_like(offsets)
        for pass_number in np.unique(passes):
            now = passes == pass_number
            samples[now] = self.permutation(int(pass_number))[offsets[now]]
        return passes, samples

    def tars(self, samples: np.ndarray) -> np.ndarray:
        """Find the tar of each sample."""
        return np.searchsorted(self.starts, samples, side="right") - 1


def distinct(labels: np.ndarray, n: int) -> float:
    """Compute the expected number of distinct classes in n uniform draws from the labels."""
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    return float((1 - (1 - share) ** n).sum())


def widen_window(lengths: list[int], labels: np.ndarray, *, n: int, seed: int, source: str, window: int) -> int:
    """Double the window until batches of n hold MIX of the distinct classes of a uniform draw.

    Tars of a few classes need a wide one. lengths: samples of each tar. labels: of each sample.
    """
    wanted = MIX * distinct(labels, n)
    while window < len(lengths):
        order = SampleOrder(lengths, seed=seed, source=source, window=window).permutation(0)
        starts = np.linspace(0, max(0, len(order) - n), 50, dtype=int)
        if np.mean([len(np.unique(labels[order[start : start + n]])) for start in starts]) >= min(
            wanted, distinct(labels, len(order))
        ):
            return window
        window *= 2
    return len(lengths)
