"""Batches of [real; synthetic] images.

The next step's are a pure function of (seed, step), whatever came before and however many ranks there are.
"""

import collections
import functools
import tempfile
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from torch import Tensor

from synaug.config.training import TrainingSettings
from synaug.data.images import opened
from synaug.data.manifest import TarTable
from synaug.data.store import Store
from synaug.data.webdataset import fetch_tar, image_bytes
from synaug.errors import DataError
from synaug.training import augmentation
from synaug.training.sample_order import SampleOrder, widen_window

CACHE_BYTES = 512 * 2**20  # a set that fits in this, decoded and resized, is decoded once
AHEAD = 3  # batches in the making beside the one in use
TOGETHER = 8  # images of a decoding task: with one each, handing out tasks costs more than hashing and reading the tars


@dataclass(frozen=True)
class TrainingBatch:
    """What one rank trains on in one step."""

    images: Tensor  # (n, 3, S, S) uint8, real first
    labels: Tensor  # (n,) int64


@dataclass(frozen=True)
class _ImageToDecode:
    """An image to decode."""

    tar: Future[IO[bytes]]
    table: TarTable
    row: int
    draw: np.ndarray  # (5,) uniforms of its crop and auto-augment


@dataclass(frozen=True)
class _Slice:
    """A source's part of a batch in the making."""

    source: "Source"
    samples: np.ndarray  # (n,) int64
    draw: np.ndarray  # (n, 8) uniforms of what is done to the whole batch
    decoding: list[Future[list[np.ndarray]]]  # empty where the source is decoded already


class Source:
    """One pool of labelled images, read in the order of `SampleOrder`."""

    def __init__(
        self,
        name: str,
        tables: list[TarTable],
        store: Store,
        *,
        n: int,
        seed: int,
        window: int,
        settings: TrainingSettings,
    ):
        """n: images of it in a global batch. window: tars open at once, at least.

        Raises DataError for an empty pool.
        """
        self.name, self.n, self.seed, self.store = name, n, seed, store
        self.tables = sorted((table for table in tables if table.key), key=lambda table: table.tar)
        if not self.tables:
            raise DataError(
                f"the {name} pool of this arm holds no images; check `real:`, `index.min_clip_score`, prompt_kinds and "
                "scale"
            )
        self.labels = np.concatenate([np.asarray(table.label, np.int64) for table in self.tables])
        lengths = [len(table.key) for table in self.tables]
        self.order = SampleOrder(
            lengths,
            seed=seed,
            source=name,
            window=widen_window(lengths, self.labels, n=n, seed=seed, source=name, window=window),
        )
        self.settings = settings
        self.open: dict[int, Future[IO[bytes]]] = {}
        self.cache: Tensor | None = None  # (images, 3, S, S) uint8

    def __len__(self) -> int:
        return len(self.order)

    def positions(self, step: int, rank: int, ranks: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pass and sample number of a rank's images in a step: every `ranks`-th of the global batch."""
        passes, samples = self.order.at(step * self.n, (step + 1) * self.n)
        return passes[rank::ranks], samples[rank::ranks]

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        """Decode a small set once and for all. Raises DataError for a broken tar or image."""
        size = self.settings.image_size
        if not augmentation.fixed_size(self.settings.augmentation) or len(self) * size * size * 3 > CACHE_BYTES:
            return
        cache = torch.empty((len(self), size, size, 3), dtype=torch.uint8)
        for t, table in enumerate(self.tables):
            tar = fetch_tar(self.store, table)
            images = pool.map(functools.partial(self._decode, tar, table), range(len(table.key)))
            for row, image in enumerate(images):
                cache[self.order.starts[t] + row] = torch.from_numpy(image.copy())
        self.cache = cache.permute(0, 3, 1, 2).contiguous()

    def keep_open(self, pool: ThreadPoolExecutor, step: int) -> None:
        """Fetch the tars of the coming steps, and let go of the others.

        A tar is in an unlinked temporary file: memory stays bounded.
        """
        if self.cache is not None:
            return
        ahead = max(AHEAD * self.n, self.order.window * int(self.order.lengths.mean()) // 4)
        _, samples = self.order.at(max(0, step - AHEAD) * self.n, (step + 1) * self.n + ahead)
        wanted = set(np.unique(self.order.tars(samples)).tolist())
        for t in wanted - self.open.keys():
            self.open[t] = pool.submit(self._download, t)
        for t in self.open.keys() - wanted:
            del self.open[t]

    def _download(self, t: int) -> IO[bytes]:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed when the last reader lets go
        file.write(fetch_tar(self.store, self.tables[t]))
        return file

    def to_decode(self, sample: int, t: int, draw: np.ndarray) -> _ImageToDecode:
        """Find a sample in the t-th tar, which is kept open."""
        return _ImageToDecode(self.open[t], self.tables[t], sample - int(self.order.starts[t]), draw)

    def decode(self, images: list[_ImageToDecode]) -> list[np.ndarray]:
        """Decode and augment some images, each to (S, S, 3) uint8. Raises DataError for a broken one."""
        return [self._decode(image.tar.result(), image.table, image.row, image.draw) for image in images]

    def _decode(self, tar: bytes | IO[bytes], table: TarTable, row: int, draw: np.ndarray | None = None) -> np.ndarray:
        """draw: None for images of fixed size, which need none."""
        size, settings = self.settings.image_size, self.settings.augmentation
        with opened(image_bytes(tar, table, row), self.store, table, row) as image:
            if augmentation.fixed_size(settings):
                return augmentation.resized(image, size)
            assert draw is not None, "what is drawn for each image comes with its task"
            if settings.crop == "random-resized":
                pixels = augmentation.random_resized(image, size, settings, draw)
            else:
                pixels = augmentation.resized(image, size)
        return augmentation.auto_augmented(pixels, settings, draw)  # outside: its faults are not the image's


class Loader:
    """Batches of one rank. Sources: real, then synthetic where the arm has it."""

    def __init__(
        self, sources: list[Source], settings: TrainingSettings, *, rank: int = 0, ranks: int = 1, threads: int = 4
    ):
        self.sources, self.settings, self.rank, self.ranks, self.threads = sources, settings, rank, ranks, threads

    def counts(self) -> list[int]:
        """Count the images of each source in this rank's batches, the same in every step."""
        return [len(range(self.rank, source.n, self.ranks)) for source in self.sources]

    def batches(self, start: int, stop: int) -> Generator[TrainingBatch, None, None]:
        """Make the batches of the steps start ... stop - 1. Raises DataError for a broken tar or image."""
        with (
            ThreadPoolExecutor(self.threads) as decoders,
            ThreadPoolExecutor(2) as downloads,
            ThreadPoolExecutor(1) as assembler,
        ):
            try:
                for source in self.sources:
                    source.prepare(decoders)
                pending: collections.deque[Future[TrainingBatch]] = collections.deque()
                for step in range(start, stop):
                    slices = [self._begin(source, step, decoders, downloads) for source in self.sources]
                    pending.append(assembler.submit(self._finished, slices))
                    if len(pending) > AHEAD:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for pool in (assembler, decoders, downloads):
                    pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, source: Source, step: int, decoders: ThreadPoolExecutor, downloads: ThreadPoolExecutor) -> _Slice:
        passes, samples = source.positions(step, self.rank, self.ranks)
        draw = augmentation.uniforms(source.seed, source.name, passes, samples, 13)
        source.keep_open(downloads, step)
        if source.cache is not None:
            return _Slice(source, samples, draw[:, :8], [])
        tars = source.order.tars(samples).tolist()
        images = [source.to_decode(*place) for place in zip(samples.tolist(), tars, draw[:, 8:], strict=True)]
        together = max(1, min(TOGETHER, len(images) // self.threads))  # a small batch still occupies every thread
        decoding = [decoders.submit(source.decode, images[n : n + together]) for n in range(0, len(images), together)]
        return _Slice(source, samples, draw[:, :8], decoding)

    def _finished(self, slices: list[_Slice]) -> TrainingBatch:
        images, labels = [], []
        for part in slices:
            images.append(augmentation.finish(self._decoded(part), self.settings.augmentation, part.draw))
            labels.append(torch.from_numpy(part.source.labels[part.samples]))
        return TrainingBatch(torch.cat(images), torch.cat(labels))

    def _decoded(self, part: _Slice) -> Tensor:
        """(n, 3, S, S) uint8."""
        if part.source.cache is not None:
            return part.source.cache[torch.from_numpy(part.samples)]
        size = self.settings.image_size
        rows = [image for decoded in part.decoding for image in decoded.result()]
        images = np.stack(rows) if rows else np.empty((0, size, size, 3), np.uint8)
        return torch.from_numpy(images).permute(0, 3, 1, 2)
