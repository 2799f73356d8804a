"""Tars of photo-sized JPEGs through the training loader, against decoding and cropping the same images from memory at equal threads."""

import io
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from synaug import pools
from synaug.config.training import Settings
from synaug.manifest import TarTable
from synaug.store import open_store
from synaug.tars import TarWriter
from synaug.training import augment
from synaug.training.loader import Loader, Source
from tests.benchmarks.result import Result

TARS, IMAGES, WIDTH, HEIGHT, BATCH, ROUNDS, THREADS = 4, 128, 500, 375, 64, 5, 2


def run(tars: int = TARS, images: int = IMAGES, batch: int = BATCH, size: int = 224) -> list[Result]:
    torch.set_num_threads(1)
    settings = Settings(image_size=size)
    jpegs = [jpeg(n) for n in range(images)]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        tables = [tar(store, Path(folder), t, jpegs) for t in range(tars)]
        source = Source("real", tables, lambda table: pools.fetch_tar(store, table), n=batch, seed=0, window=tars, settings=settings)
        steps = tars * images // batch
        rates = {"loader": [], "decoding": []}
        for _ in range(ROUNDS):
            rates["decoding"].append(steps * batch / decoding(jpegs, source, settings, steps * batch))
            rates["loader"].append(steps * batch / loading(source, settings, steps))
    pairs = [a / b for a, b in zip(rates["loader"], rates["decoding"], strict=True)]
    details = {"threads": THREADS, "jpeg_bytes": round(sum(map(len, jpegs)) / len(jpegs)), "image_size": size, "rates": rates}
    return [
        Result(name=f"loader / decoding {WIDTH}x{HEIGHT} JPEGs", value=median(pairs), target=">= 0.9", details=details),
        Result(name="loader", value=median(rates["loader"]), unit="images/s", details=details),
    ]


def jpeg(n: int) -> bytes:
    """Smooth shapes and grain, as large as a photo's."""
    rng = np.random.default_rng(n)
    rough = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    pixels = np.clip(np.asarray(rough, np.int16) + rng.normal(0, 8, (HEIGHT, WIDTH, 3)).astype(np.int16), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def tar(store, folder: Path, number: int, jpegs: list[bytes]) -> TarTable:
    path, key = folder / f"{number}.tar", f"real/train-{number:06d}.tar"
    with TarWriter(path) as writer:
        for n, data in enumerate(jpegs):
            writer.add(f"t{number}-{n:07d}", data, n % 10)
        table = TarTable(tar=key, **writer.close())
    store.put(key, path)
    return table


def loading(source: Source, settings: Settings, steps: int) -> float:
    """Seconds of `steps` batches, the tars closed before."""
    source.open.clear()
    start = time.perf_counter()
    for _ in Loader([source], settings, threads=THREADS).batches(0, steps):
        pass
    return time.perf_counter() - start


def decoding(jpegs: list[bytes], source: Source, settings: Settings, images: int) -> float:
    """Seconds of nothing but decoding and cropping, from memory, the crops drawn before: no batches, flips or order."""
    passes, samples = source.order.at(0, images)
    draws = augment.uniforms(source.seed, source.name, passes, samples, 13)[:, 8:]
    data = [jpegs[int(n) % len(jpegs)] for n in samples]

    def decode(data: bytes, draw: np.ndarray) -> np.ndarray:
        with Image.open(io.BytesIO(data)) as image:
            return augment.random_resized(image, settings.image_size, settings.augmentation, draw)

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(decode, data, draws):
            pass
    return time.perf_counter() - start
