"""A store with small splits of drawn images, and jobs on it."""

import hashlib
import io
import json

import numpy as np
from PIL import Image

from synaug.config import Config, arms
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.index import Index, IndexedPart
from synaug.data.manifest import Manifest, RealSplit, TarTable
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.run.job import Job, Progress
from synaug.run.plan import Plan
from synaug.training import distributed, loop

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


def add_split(
    store: Store, split: str, *, images: int, per_tar: int = 16, seed: int = 0, size: int = 16
) -> list[TarTable]:
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


def add_synthetic(store: Store, *, per_multiple: int = 32, scale: int = 2) -> None:
    """x1 ... x{scale} of run r, indexed: one part per multiple; prompt kinds in turn."""
    parts = []
    for multiple in range(1, scale + 1):
        file = io.BytesIO()
        writer = TarWriter(file)
        for i in range(per_multiple):
            number = (multiple - 1) * per_multiple + i
            writer.add(f"c{i % CLASSES}-{number:07d}", jpeg(picture(i % CLASSES, 10_000_000 + number)), i % CLASSES)
        manifest = Manifest(
            tar=layout.synthetic_tar("r", multiple, 0, 0),
            **writer.close(),
            class_id=[f"c{i % CLASSES}" for i in range(per_multiple)],
            kind=[("plain", "cd", "sd")[i % 3] for i in range(per_multiple)],
            clip_score=[0.3] * per_multiple,
            attempt=[0] * per_multiple,
            batch_size=8,
            threads=1,
            prompts_sha256={},
            model="none@0",
            versions={},
        )
        store.put(manifest.tar, file.getvalue())
        text = manifest.model_dump_json().encode()
        key = layout.synthetic_manifest("r", multiple, 0, 0)
        store.put(key, text)
        parts.append(
            IndexedPart(
                multiple=multiple,
                shard=0,
                part=0,
                manifest=key,
                manifest_sha256=hashlib.sha256(text).hexdigest(),
                tar=manifest.tar,
                sha256=manifest.sha256,
                bytes=manifest.bytes,
                images=per_multiple,
                kept=per_multiple,
            )
        )
    index = Index(
        run="r",
        digest="0",
        scale=scale,
        min_clip_score=None,
        parts=parts,
        images={},
        left_out={},
        rejects={},
        lost=[],
        truncated_prompts=0,
        prompts={},
        model=[],
        batch_sizes=[8],
    )
    store.put(layout.index("r"), index.model_dump_json().encode())


def filled(store: Store) -> Store:
    add_split(store, "train", images=32)
    add_split(store, "more", images=64, seed=1)
    add_synthetic(store)
    return store


ARMS = {"real": {"kind": "real"}} | {kind: {"kind": kind, "scale": "1x"} for kind in ("naive", "auxbn", "oracle")}

MODEL = {
    "model": "test_resnet",
    "model_kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8},
    "image_size": 16,
    "batch_size": 8,
    "steps": 12,
    "lr": 0.05,
    "augmentation": {"crop": "pad", "flip": False},  # the class is the corner
}


def config(arm_entries: dict | None = None, **training) -> Config:
    """The oracle draws from the split `more`."""
    return Config.model_validate(
        {
            "arms": arm_entries or ARMS,
            "oracle": "more",
            "training": MODEL | training,
            "compute": {"device": "cpu", "loader_threads": 2},
        }
    )


def plan(real: int) -> Plan:
    classes = [ClassEntry(id=f"c{n}", names=[f"class {n}"]) for n in range(CLASSES)]
    ids = [entry.id for entry in classes]
    return Plan(
        digest="0",
        classes=classes,
        real_counts=dict.fromkeys(ids, real // CLASSES),
        class_shards=[ids],
        part_images=16,
        models=[],
        styles=[],
        scale=1,
        versions={},
    )


def job(store: Store, arm: str = "real", *, seed: int = 0, settings: Config | None = None, **more) -> Job:
    return Job(store=store, run="r", config=settings or config(), plan=plan(32), arm=arm, seed=seed, **more)


def metrics(store: Store, arm: str, seed: int = 0) -> list[dict]:
    """Lines of metrics.jsonl without rate and times."""
    lines = map(json.loads, store.get(layout.training("r", arm, seed, "metrics.jsonl")).decode().splitlines())
    return [
        {key: value for key, value in line.items() if key not in ("images_per_second", "time", "checkpoint_time")}
        for line in lines
    ]


def train(job: Job) -> None:
    resolved = arms.resolve_arm(job.config, job.arm)
    with distributed.init_distributed("cpu") as ranks:
        loop.train(job, resolved, ranks)


class Killed(Exception):
    pass


def killed_at(step: int):
    """For Job.report: ends the training there, before its checkpoint."""

    def report(progress: Progress) -> None:
        if progress.done == step:
            raise Killed

    return report
