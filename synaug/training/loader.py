"""Batches of [real; synthetic] images: the next step's are a pure function of (seed, step), whatever came before and however many ranks."""

import collections
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from synaug.config.training import TrainingSettings
from synaug.data.manifest import TarTable
from synaug.errors import DataError
from synaug.training import augmentation
from synaug.training.sample_order import SampleOrder, widen_window

CACHE_BYTES = 512 * 2**20  # a set that fits in this, decoded and resized, is decoded once
AHEAD = 3  # batches in the making beside the one in use
TOGETHER = 8  # images of a decoding task: with one each, handing out tasks costs more than hashing and reading the tars

Fetch = Callable[[TarTable], bytes]


@dataclass(frozen=True)
class TrainingBatch:
    images: Tensor  # (n, 3, S, S) uint8, real first
    labels: Tensor  # (n,) int64


class Source:
    """One pool of labelled images, read in the order of `SampleOrder`."""

    def __init__(
        self,
        name: str,
        tables: list[TarTable],
        fetch: Fetch,
        *,
        n: int,
        seed: int,
        window: int,
        settings: TrainingSettings,
    ):
        """n: images of it in a global batch. Raises DataError when there is none to read."""
        self.name, self.n, self.seed, self.fetch = name, n, seed, fetch
        self.tables = sorted((table for table in tables if table.key), key=lambda table: table.tar)
        if not self.tables:
            raise DataError(
                f"the {name} pool of this arm holds no images; check `real:`, `index.min_clip_score`, prompt_kinds and scale"
            )
        self.labels = np.concatenate([np.asarray(table.label, np.int64) for table in self.tables])
        lengths = [len(table.key) for table in self.tables]
        self.order = SampleOrder(
            lengths,
            seed=seed,
            source=name,
            window=widen_window(lengths, self.labels, n=n, seed=seed, source=name, window=window),
        )
        self.settings, self.open, self.cache = settings, {}, None

    def __len__(self) -> int:
        return len(self.order)

    def positions(self, step: int, rank: int, ranks: int) -> tuple[np.ndarray, np.ndarray]:
        """Pass and sample number of the images that a rank has in a step: every `ranks`-th of the global batch."""
        passes, samples = self.order.at(step * self.n, (step + 1) * self.n)
        return passes[rank::ranks], samples[rank::ranks]

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        """Decode a small set once. Raises DataError for a broken tar or image."""
        size = self.settings.image_size
        if not augmentation.fixed_size(self.settings.augmentation) or len(self) * size * size * 3 > CACHE_BYTES:
            return
        cache = torch.empty((len(self), size, size, 3), dtype=torch.uint8)
        for t, table in enumerate(self.tables):
            data = self.fetch(table)
            images = pool.map(
                lambda row, table=table, data=data: self._decode(
                    table, row, memoryview(data)[table.offset[row] :][: table.length[row]]
                ),
                range(len(table.key)),
            )
            for row, image in enumerate(images):
                cache[self.order.starts[t] + row] = torch.from_numpy(image.copy())
        self.cache = cache.permute(0, 3, 1, 2).contiguous()

    def keep_open(self, pool: ThreadPoolExecutor, step: int) -> None:
        """Fetch the tars of the coming steps, let go of the others. A tar lies in an unlinked temporary file: memory stays bounded."""
        if self.cache is not None:
            return
        ahead = max(AHEAD * self.n, self.order.window * int(self.order.lengths.mean()) // 4)
        _, samples = self.order.at(max(0, step - AHEAD) * self.n, (step + 1) * self.n + ahead)
        wanted = set(np.unique(self.order.tars(samples)).tolist())
        for t in wanted - self.open.keys():
            self.open[t] = pool.submit(self._download, t)
        for t in self.open.keys() - wanted:
            del self.open[t]

    def _download(self, t: int):
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed when the last reader lets go
        file.write(self.fetch(self.tables[t]))
        return file

    def images(self, wanted: list[tuple[Future, int, int, np.ndarray]]) -> list[np.ndarray]:
        """wanted: the open tar, its number, the sample and the draws of each image."""
        return [self._image(*one) for one in wanted]

    def _image(self, tar: Future, t: int, sample: int, draw: np.ndarray) -> np.ndarray:
        table, row = self.tables[t], sample - int(self.order.starts[t])
        return self._decode(table, row, os.pread(tar.result().fileno(), table.length[row], table.offset[row]), draw)

    def _decode(
        self, table: TarTable, row: int, data: bytes | memoryview, draw: np.ndarray | None = None
    ) -> np.ndarray:
        """(S, S, 3) uint8; draw: where the crop is drawn for each image."""
        size, wanted = self.settings.image_size, self.settings.augmentation
        try:
            with Image.open(io.BytesIO(data)) as image:
                if augmentation.fixed_size(wanted):
                    return augmentation.resized(image, size)
                if wanted.crop == "random-resized":
                    return augmentation.random_resized(image, size, wanted, draw)
                return augmentation.auto_augmented(augmentation.resized(image, size), wanted, draw)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:  # what PIL raises for broken files
            raise DataError(
                f"{table.tar}: image {table.key[row]} cannot be decoded ({error}); repair or remove it and import the split again"
            ) from None


class Loader:
    """Batches of one rank. Sources: real, then synthetic where the arm has it."""

    def __init__(
        self, sources: list[Source], settings: TrainingSettings, *, rank: int = 0, ranks: int = 1, threads: int = 4
    ):
        self.sources, self.settings, self.rank, self.ranks, self.threads = sources, settings, rank, ranks, threads

    def counts(self) -> list[int]:
        """Images of each source in this rank's batches, the same in every step."""
        return [len(range(self.rank, source.n, self.ranks)) for source in self.sources]

    def batches(self, start: int, stop: int) -> Iterator[TrainingBatch]:
        """Steps start ... stop - 1."""
        with (
            ThreadPoolExecutor(self.threads) as decoders,
            ThreadPoolExecutor(2) as downloads,
            ThreadPoolExecutor(1) as assembler,
        ):
            try:
                for source in self.sources:
                    source.prepare(decoders)
                pending = collections.deque()
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

    def _begin(self, source: Source, step: int, decoders: ThreadPoolExecutor, downloads: ThreadPoolExecutor):
        passes, samples = source.positions(step, self.rank, self.ranks)
        draw = augmentation.uniforms(source.seed, source.name, passes, samples, 13)
        source.keep_open(downloads, step)
        if source.cache is not None:
            return samples, None, draw
        tars = source.order.tars(samples).tolist()
        wanted = [(source.open[t], t, s, d[8:]) for t, s, d in zip(tars, samples.tolist(), draw, strict=True)]
        together = max(1, min(TOGETHER, len(wanted) // self.threads))  # a small batch still occupies every thread
        tasks = [decoders.submit(source.images, wanted[n : n + together]) for n in range(0, len(wanted), together)]
        return samples, tasks, draw

    def _finished(self, slices: list) -> TrainingBatch:
        images, labels = [], []
        for source, (samples, tasks, draw) in zip(self.sources, slices, strict=True):
            if tasks is None:
                decoded = source.cache[torch.from_numpy(samples)]
            else:
                size = self.settings.image_size
                rows = [image for task in tasks for image in task.result()]
                decoded = torch.from_numpy(np.stack(rows) if rows else np.empty((0, size, size, 3), np.uint8)).permute(
                    0, 3, 1, 2
                )
            images.append(augmentation.finish(decoded, self.settings.augmentation, draw[:, :8]))
            labels.append(torch.from_numpy(source.labels[samples]))
        return TrainingBatch(torch.cat(images), torch.cat(labels))
