import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.data.manifest import TarTable
from synaug.data.webdataset import TarWriter
from synaug.errors import DataError
from synaug.training import loader
from synaug.training.loader import Loader, Source
from synaug.training.sample_order import distinct
from tests.unit.training import helpers

CROPS = ("pad", "none", "random-resized")


def settings(**augmentation) -> TrainingSettings:
    return TrainingSettings(image_size=16, batch_size=16, augmentation={"crop": "pad"} | augmentation)


def sources(
    store, tables: dict[str, list[TarTable]], training: TrainingSettings, *, seed: int = 0, window: int = 2
) -> list[Source]:
    return [
        Source(name, pool, store, n=8, seed=seed, window=window, settings=training) for name, pool in tables.items()
    ]


@pytest.fixture
def tables(empty):
    real, synthetic = (
        helpers.add_split(empty, "train", images=40, per_tar=8),
        helpers.add_split(empty, "more", images=60, seed=1),
    )
    return {"real": real, "synthetic": synthetic}


def batches(store, tables, training=None, *, start=0, stop=12, rank=0, ranks=1, threads=2, **more):
    training = training or settings()
    return list(
        Loader(sources(store, tables, training, **more), training, rank=rank, ranks=ranks, threads=threads).batches(
            start, stop
        )
    )


def test_a_batch_is_real_then_synthetic(empty, tables):
    training = settings(crop="none", flip=False)
    made = sources(empty, tables, training)
    for step, batch in enumerate(Loader(made, training, threads=2).batches(0, 3)):
        assert batch.images.shape == (16, 3, 16, 16) and batch.images.dtype == torch.uint8
        for n, source in enumerate(made):
            _, samples = source.positions(step, 0, 1)
            for image, label, sample in zip(batch.images[8 * n :], batch.labels[8 * n :], samples, strict=False):
                stored = Image.open(
                    io.BytesIO(helpers.jpeg(helpers.picture(int(sample) % 4, n * 100_000 + int(sample))))
                )
                assert label == sample % 4
                assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(stored))


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("cached", [True, False])
def test_a_step_does_not_depend_on_where_reading_began_or_on_threads(empty, tables, crop, cached, monkeypatch):
    if not cached:
        monkeypatch.setattr(loader, "CACHE_BYTES", 0)
    training = settings(crop=crop, erase=0.3)
    whole = batches(empty, tables, training)
    for batch, expected in zip(batches(empty, tables, training, start=7, threads=4), whole[7:], strict=True):
        assert torch.equal(batch.images, expected.images) and torch.equal(batch.labels, expected.labels)


@pytest.mark.parametrize(
    "augmentation", [{"crop": "pad"}, {"crop": "random-resized"}, {"crop": "none", "auto": "rand-m9-mstd0.5"}]
)
def test_any_number_of_ranks_sees_the_same_global_batches(empty, tables, augmentation):
    training = settings(**augmentation)
    whole = batches(empty, tables, training, stop=4)
    for ranks in (2, 3):
        parts = [batches(empty, tables, training, stop=4, rank=rank, ranks=ranks) for rank in range(ranks)]
        counts = [
            Loader(sources(empty, tables, training), training, rank=rank, ranks=ranks).counts() for rank in range(ranks)
        ]
        assert [sum(column) for column in zip(*counts, strict=True)] == [8, 8]
        for step, batch in enumerate(whole):
            for rank in range(ranks):
                n_real = counts[rank][0]
                mine = parts[rank][step].images
                assert torch.equal(mine[:n_real], batch.images[:8][rank::ranks])
                assert torch.equal(mine[n_real:], batch.images[8:][rank::ranks])


def test_cached_and_streamed_batches_are_equal(empty, tables, monkeypatch):
    cached = batches(empty, tables)
    monkeypatch.setattr(loader, "CACHE_BYTES", 0)
    for a, b in zip(cached, batches(empty, tables), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)


def test_seeds_give_other_batches_and_arms_with_one_seed_the_same(empty, tables):
    real_only = batches(empty, {"real": tables["real"]})
    mixed, other = batches(empty, tables), batches(empty, tables, seed=1)
    assert all(torch.equal(a.images, b.images[:8]) for a, b in zip(real_only, mixed, strict=True))
    assert not torch.equal(mixed[0].labels, other[0].labels) or not torch.equal(mixed[0].images, other[0].images)


def test_augmentation_differs_between_passes(empty, tables):
    training = settings()
    source = sources(empty, tables, training)[0]
    per_pass = 5  # 40 images, 8 a step
    seen = batches(empty, {"real": tables["real"]}, training, stop=2 * per_pass)
    _, first = source.order.at(0, 40)
    _, second = source.order.at(40, 80)
    pixels = [torch.cat([b.images for b in half]) for half in (seen[:per_pass], seen[per_pass:])]
    same = [torch.equal(pixels[0][i], pixels[1][int(np.flatnonzero(second == s)[0])]) for i, s in enumerate(first)]
    assert sum(same) < 10


def test_only_the_tars_in_reach_are_open(empty, monkeypatch):
    monkeypatch.setattr(loader, "CACHE_BYTES", 0)
    tables = {"real": helpers.add_split(empty, "long", images=640, per_tar=16)}
    training = settings()
    source = sources(empty, tables, training)[0]
    most = 0
    for _ in Loader([source], training, threads=2).batches(0, 160):
        most = max(most, len(source.open))
    assert source.order.window == 2 and 2 <= most <= 8  # of 40


def clustered(store, *, tars: int, per_tar: int, classes_per_tar: int) -> list[TarTable]:
    """Tars as the images stage makes them: each holds the classes of one shard, interleaved."""
    image = helpers.jpeg(helpers.picture(0, 0, 8))
    tables = []
    for n in range(tars):
        file = io.BytesIO()
        writer = TarWriter(file)
        for i in range(per_tar):
            writer.add(f"{n}-{i:05d}", image, n // 2 * classes_per_tar + i % classes_per_tar)
        tables.append(TarTable(tar=layout.synthetic_tar("r", 1, n // 2, n % 2), **writer.close()))
        store.put(tables[-1].tar, file.getvalue())
    return tables


def test_batches_hold_the_classes_of_a_uniform_draw(store, monkeypatch):
    """Class-clustered batches would ruin batch norm quietly.

    At least 0.8 of the distinct classes are asked for, here with 2 of 80 classes a tar.
    """
    monkeypatch.setattr(loader, "CACHE_BYTES", 0)
    pool = clustered(store, tars=80, per_tar=24, classes_per_tar=2)
    training = settings()
    source = Source("synthetic", pool, store, n=32, seed=0, window=4, settings=training)
    seen = [len(set(batch.labels.tolist())) for batch in Loader([source], training, threads=2).batches(0, 60)]
    assert np.mean(seen) >= 0.8 * distinct(source.labels, 32)
    assert min(seen) >= 0.6 * distinct(source.labels, 32)


def test_a_broken_image_is_named(empty, tables):
    table = tables["real"][2]
    data = bytearray(empty.get(table.tar))
    start = table.offset[3]
    data[start : start + 20] = bytes(20)
    empty.put(table.tar, bytes(data))
    broken = table.model_copy(update={"sha256": hashlib.sha256(bytes(data)).hexdigest()})
    pool = {"real": [broken if t is table else t for t in tables["real"]]}
    for crop in CROPS:
        with pytest.raises(DataError, match=rf"{table.tar}: image {table.key[3]} cannot be decoded"):
            batches(empty, pool, settings(crop=crop))


def test_a_damaged_tar_and_an_empty_pool_are_refused(empty, tables):
    empty.put(tables["real"][1].tar, b"damaged")
    with pytest.raises(DataError, match="checksum"):
        batches(empty, tables)
    with pytest.raises(DataError, match="holds no images"):
        sources(empty, {"real": []}, settings())


def test_nothing_is_left_running_when_reading_stops_early(empty, tables, monkeypatch):
    made = []
    monkeypatch.setattr(loader, "ThreadPoolExecutor", lambda n: made.append(ThreadPoolExecutor(n)) or made[-1])
    monkeypatch.setattr(loader, "CACHE_BYTES", 0)
    reading = Loader(sources(empty, tables, settings()), settings(), threads=2).batches(0, 12)
    next(reading)
    reading.close()
    assert made and all(not thread.is_alive() for pool in made for thread in pool._threads)
