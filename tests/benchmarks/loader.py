"""The training loader on tars of 500x375 JPEGs against decoding alone: equal decoding threads, images and random crops.

Decoding alone has the bytes in memory, and its threads run plain loops. For the target both are held to as many cores
as there are decoding threads, so that what the loader does beside decoding (fetching and hashing tars, order,
assembling batches, flips) costs what it costs; how it fares where there are idle cores for that is reported.
"""

import io
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.data.manifest import TarTable
from synaug.data.store import Store, open_store
from synaug.data.webdataset import TarWriter, fetch_tar, image_bytes
from synaug.training import augmentation
from synaug.training.loader import Loader, Source
from tests.benchmarks import machine
from tests.benchmarks.result import Result, ratios

WIDTH, HEIGHT, DISTINCT = 500, 375, 64


def run(*, tars: int = 16, per_tar: int = 64, batch: int = 64, rounds: int = 5, threads: int = 1) -> list[Result]:
    torch.set_num_threads(1)
    settings = TrainingSettings(image_size=224, batch_size=batch)  # random resized crop and flip
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        tables = write(store, tars, per_tar)
        steps = tars * per_tar // batch
        rates: dict[str, list[float]] = {"loader": [], "decoding": [], "whole images": [], "loader, all cores": []}
        source = Source("real", tables, store, n=batch, seed=0, window=8, settings=settings)
        encoded, draws = contents(store, source, steps)
        for warm in [False] + [True] * rounds:
            with machine.cores(threads):
                measured = {
                    "loader": through_loader(source, settings, steps, threads),
                    "decoding": decoding(encoded, draws, settings, threads),
                    "whole images": decoding(encoded, draws, None, threads),
                }
            measured["loader, all cores"] = through_loader(source, settings, steps, threads)
            for name, seconds in measured.items():
                rates[name] += [steps * batch / seconds] if warm else []
    size = sum(map(len, encoded)) / len(encoded) / 1e3
    about = {
        "tars": tars,
        "images": steps * batch,
        "kB an image": round(size, 1),
        "threads": threads,
        "cores": threads,
        "batch": batch,
    }
    details = about | {"images/s": {name: [round(rate, 1) for rate in values] for name, values in rates.items()}}
    alone, all_cores = (ratios(rates[name], rates["decoding"]) for name in ("loader", "loader, all cores"))
    whole = ratios(rates["loader"], rates["whole images"])
    return [
        Result(
            name="loader: reading and decoding tars / decoding alone", values=alone, target=">= 0.9", details=details
        ),
        Result(name="loader: the same with all cores / decoding alone", values=all_cores),
        Result(name="loader: the same / decoding whole images without a crop", values=whole),
        Result(name=f"loader: {threads} thread{'s' * (threads > 1)}", values=rates["loader"], unit="images/s"),
    ]


def photo(rng: np.random.Generator, width: int, height: int) -> bytes:
    """Draw smooth shapes under some grain: about as large in JPEG as a photo of ImageNet (110 kB)."""
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 14, (height, width, 1))
    file = io.BytesIO()
    Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


def write(
    store: Store, tars: int, per_tar: int, *, split: str = "train", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> list[TarTable]:
    """Write real tars of photos; labels 0 to 99 in turn."""
    rng, tables = np.random.default_rng(0), []
    photos = [photo(rng, *size) for _ in range(min(DISTINCT, tars * per_tar))]
    for n in range(tars):
        file = io.BytesIO()
        writer = TarWriter(file)
        for i in range(per_tar):
            writer.add(f"{n:03d}-{i:05d}", photos[(n * per_tar + i) % len(photos)], i % 100)
        tables.append(TarTable(tar=layout.real_tar(split, n), **writer.close()))
        store.put(tables[-1].tar, file.getvalue())
    return tables


def contents(store: Store, source: Source, steps: int) -> tuple[list[bytes], np.ndarray]:
    """Read the bytes and the crop's draws of the images, in the order that the loader takes them."""
    tars = [fetch_tar(store, table) for table in source.tables]
    passes, samples = source.order.at(0, steps * source.n)
    encoded = []
    for t, sample in zip(source.order.tars(samples), samples, strict=True):
        encoded.append(image_bytes(tars[t], source.tables[t], sample - source.order.starts[t]))
    return encoded, augmentation.uniforms(source.seed, source.name, passes, samples, 13)[:, 8:]


def through_loader(source: Source, settings: TrainingSettings, steps: int, threads: int) -> float:
    """Measure seconds, from nothing fetched to the last batch."""
    source.open.clear()
    start = time.perf_counter()
    for _ in Loader([source], settings, threads=threads).batches(0, steps):
        pass
    return time.perf_counter() - start


def decoding(encoded: list[bytes], draws: np.ndarray, settings: TrainingSettings | None, threads: int) -> float:
    """Measure seconds of decoding; settings: None decodes whole images."""

    def loop(first: int) -> None:
        for data, draw in zip(encoded[first::threads], draws[first::threads], strict=True):
            with Image.open(io.BytesIO(data)) as image:
                if settings is None:
                    image.load()
                else:
                    augmentation.random_resized(image, settings.image_size, settings.augmentation, draw)

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(loop, range(threads)))
    return time.perf_counter() - start
