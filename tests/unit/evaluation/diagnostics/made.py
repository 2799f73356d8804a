"""A run with synthetic images whose likeness to the real ones is known, and classifiers whose answers are."""

import hashlib
import io
import json
from collections.abc import Callable

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save

from synaug.config.arms import resolve_arm
from synaug.config.load import dump_config
from synaug.data import layout
from synaug.data.index import Index, IndexedPart
from synaug.data.manifest import Manifest
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.run.job import Job
from tests.unit.training import helpers
from tests.unit.training.helpers import CLASSES, jpeg, picture

KINDS = ("plain", "cd", "sd")


def black(label: int, seed: int) -> Image.Image:
    """Of no class; a pixel makes it one of its kind."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[seed % 16, seed // 16 % 16] = 30
    return Image.fromarray(pixels)


def add_synthetic(
    store: Store, of_kind: dict[str, Callable[[int, int], Image.Image]], *, per_kind: int, multiple: int = 1
) -> None:
    """Write per_kind images of each kind and class in x{multiple}: of_kind[kind](label, number).

    The index lists this part alone.
    """
    rows = [(kind, label, n) for n in range(per_kind) for label in range(CLASSES) for kind in of_kind]
    file = io.BytesIO()
    with TarWriter(file) as writer:
        for number, (kind, label, n) in enumerate(rows):
            writer.add(f"c{label}-{number:07d}", jpeg(of_kind[kind](label, 10_000_000 + n * CLASSES + label)), label)
        columns = writer.close()
    manifest = Manifest(
        tar=layout.synthetic_tar("r", multiple, 0, 0),
        **columns,
        class_id=[f"c{label}" for _, label, _ in rows],
        kind=[kind for kind, _, _ in rows],
        clip_score=[0.3] * len(rows),
        attempt=[0] * len(rows),
        batch_size=8,
        threads=1,
        prompts_sha256={},
        model="none@0",
        versions={},
    )
    store.put(manifest.tar, file.getvalue())
    text, key = manifest.model_dump_json().encode(), layout.synthetic_manifest("r", multiple, 0, 0)
    store.put(key, text)
    part = IndexedPart(
        multiple=multiple,
        shard=0,
        part=0,
        manifest=key,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        tar=manifest.tar,
        sha256=manifest.sha256,
        bytes=manifest.bytes,
        images=len(rows),
        kept=len(rows),
    )
    index = Index(
        run="r",
        digest="0",
        scale=multiple,
        min_clip_score=None,
        parts=[part],
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


def job(store: Store, *, planned: bool = False, **more) -> Job:
    """Of the run r at 1x, with a test `test` in domain."""
    config = helpers.config().model_copy(update={"scale": "1x"})
    values = json.loads(config.model_dump_json()) | {"tests": {"test": {"split": "test", "domain": "in"}}}
    one = Job(store=store, run="r", config=type(config).model_validate(values), plan=helpers.plan(32), **more)
    store.put(layout.run_yaml("r"), dump_config(one.config).encode())
    store.put(layout.plan("r"), one.plan.model_dump_json().encode())
    return one


def put_classifier(one: Job, *, answer: int | None = None, arm: str = "real", seed: int = 0) -> None:
    """A finished training: a network at random, which gives `answer` to everything where that is set."""
    own = resolve_arm(one.config, arm)
    torch.manual_seed(seed)
    model = timm.create_model(own.settings.model, num_classes=CLASSES, **own.settings.model_kwargs)
    if answer is not None:
        with torch.no_grad():
            model.fc.weight.zero_()
            model.fc.bias.copy_(torch.nn.functional.one_hot(torch.tensor(answer), CLASSES))
    for name, value in (
        ("settings.json", own.frozen()),
        ("done.json", own.frozen() | {"seed": seed, "answer": answer}),
    ):
        one.store.put(layout.training(one.run, arm, seed, name), json.dumps(value).encode())
    one.store.put(layout.training(one.run, arm, seed, "model.safetensors"), save(model.state_dict()))


def filled(store: Store, *, real: int = 160, per_kind: int = 20, kinds: dict | None = None) -> Job:
    """plain: drawn as the real images are; cd: black; sd: one real image, a little changed each time."""
    helpers.add_split(store, "train", images=real)
    helpers.add_split(store, "test", images=40, seed=2)
    add_synthetic(store, kinds or {"plain": picture, "cd": black, "sd": nearly_the_same}, per_kind=per_kind)
    one = job(store)
    put_classifier(one, answer=1)
    return one


def nearly_the_same(label: int, seed: int) -> Image.Image:
    pixels = np.asarray(picture(label, 7), np.int16) + np.random.default_rng(seed).integers(0, 3, (16, 16, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
