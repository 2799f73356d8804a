"""A store with small splits of drawn images, and jobs on it."""

import io
import json

import numpy as np
from PIL import Image

from synaug import layout
from synaug.classes import ClassEntry
from synaug.config import Config
from synaug.frozen import Plan
from synaug.job import Job
from synaug.manifest import RealSplit, TarTable
from synaug.store import Store
from synaug.tars import TarWriter

CLASSES = 4


def picture(label: int, seed: int, size: int = 16) -> Image.Image:
    """Noise with a bright square, whose corner is the class."""
    pixels = np.random.default_rng(seed).integers(0, 80, (size, size, 3), dtype=np.uint8)
    half = size // 2
    y, x = divmod(label, 2)
    pixels[y * half : (y + 1) * half, x * half : (x + 1) * half] += 150
    return Image.fromarray(pixels)


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


def add_split(store: Store, split: str, *, images: int, per_tar: int = 16, seed: int = 0, size: int = 16) -> list[TarTable]:
    """Classes in turn."""
    tables = []
    for n, start in enumerate(range(0, images, per_tar)):
        file = io.BytesIO()
        writer = TarWriter(file)
        for i in range(start, min(images, start + per_tar)):
            writer.add(f"{split}-{i:05d}", jpeg(picture(i % CLASSES, seed * 100_000 + i, size)), i % CLASSES)
        tables.append(TarTable(tar=layout.real_tar(split, n), **writer.close()))
        store.put(tables[-1].tar, file.getvalue())
        store.put(layout.real_entry(split, n), tables[-1].model_dump_json().encode())
    counts = {c: sum(table.label.count(c) for table in tables) for c in range(CLASSES)}
    about = RealSplit(classes=None, tars=len(tables), samples=images, per_label=counts)
    store.put(layout.real_split(split), about.model_dump_json().encode())
    return tables


MODEL = {
    "model": "test_resnet",
    "model_kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8},
    "image_size": 16,
    "batch_size": 8,
    "steps": 12,
    "lr": 0.05,
    "augmentation": {"crop": "pad"},
}


def config(arms: dict | None = None, **training) -> Config:
    """Arms `real` and `oracle` unless others are given; the oracle draws from the split `more`."""
    return Config.model_validate({
        "arms": arms or {"real": {"kind": "real"}, "oracle": {"kind": "oracle", "scale": "1x"}},
        "oracle": "more",
        "training": MODEL | training,
        "compute": {"device": "cpu", "loader_threads": 2},
    })  # fmt: skip


def plan(real: int) -> Plan:
    classes = [ClassEntry(id=f"c{n}", names=[f"class {n}"]) for n in range(CLASSES)]
    ids = [entry.id for entry in classes]
    return Plan(
        digest="0", classes=classes, real_counts=dict.fromkeys(ids, real // CLASSES), class_shards=[ids], part_images=16,
        models=[], styles=[], scale=1, estimate={}, versions={},
    )  # fmt: skip


def job(store: Store, arm: str = "real", *, seed: int = 0, settings: Config | None = None, **more) -> Job:
    return Job(store=store, run="r", config=settings or config(), plan=plan(32), arm=arm, seed=seed, **more)


def metrics(store: Store, arm: str, seed: int = 0) -> list[dict]:
    """Lines of metrics.jsonl without the rate."""
    lines = map(json.loads, store.get(layout.training("r", arm, seed, "metrics.jsonl")).decode().splitlines())
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]
