"""A store with a split of real images that are only listed, and plans of it: for tests that read no image."""

import hashlib

from synaug.config.load import load_config
from synaug.data import layout
from synaug.data.manifest import Manifest, RealSplit, TarTable
from synaug.run.plan import ModelInfo
from synaug.run.results import Evaluation, TestResult
from synaug.stages import plan as planning

CLASSES = ("bag", "coat", "dress", "shirt")
INFO = {
    "llm": ModelInfo(role="llm", name="an LLM", revision="1", license="MIT"),
    "clip": ModelInfo(role="clip", name="a CLIP", revision="1", license="MIT"),
    "diffusion": ModelInfo(role="diffusion", name="a generator", revision="1", license="Apache-2.0"),
}


def put_real(store, per_class: int = 10, classes: tuple[str, ...] = CLASSES) -> None:
    n = per_class * len(classes)
    table = TarTable(
        tar=layout.real_tar("train", 0),
        sha256="0" * 64,
        bytes=n,
        key=[f"k{i}" for i in range(n)],
        label=[i % len(classes) for i in range(n)],
        offset=[0] * n,
        length=[1] * n,
    )
    split = RealSplit(classes=list(classes), tars=1, samples=n, per_label=dict.fromkeys(range(len(classes)), per_class))
    store.put(layout.real_entry("train", 0), table.model_dump_json().encode())
    store.put(layout.real_split("train"), split.model_dump_json().encode())


def split_digest(store, split: str) -> str:
    """The digest that results on a split record; a split that is not imported is listed as an empty one."""
    key = layout.real_split(split)
    if not store.exists(key):
        empty = RealSplit(classes=None, tars=0, samples=0, per_label={})
        store.put(key, empty.model_dump_json().encode())
    return hashlib.sha256(store.get(key)).hexdigest()


def configuration(*overrides: str):
    listed = "classes=[" + ", ".join(f"{{id: {c}, names: [{c}]}}" for c in CLASSES) + "]"
    return load_config("demo", [listed, "scale=1x", "images.part_images=20", "seeds=[0, 1]", *overrides])


def make_plan(store, *overrides: str, run: str = "first"):
    """(plan, notes)."""
    return planning.make_plan(store, run, configuration(*overrides))


def put_manifests(store, plan, config, multiple: int, run: str = "first", rejects: int = 0) -> None:
    """Manifests of all parts of one multiple, without their tars."""
    for shard in range(len(plan.class_shards)):
        for part in plan.parts(config, shard, multiple):
            n = len(part.images)
            manifest = Manifest(
                tar=layout.synthetic_tar(run, multiple, shard, part.number),
                sha256="0" * 64,
                bytes=1,
                key=[f"{c}-{i:07d}" for c, i in part.images],
                label=[0] * n,
                offset=[0] * n,
                length=[1] * n,
                class_id=[c for c, _ in part.images],
                kind=["plain"] * n,
                clip_score=[0.3] * n,
                attempt=[0] * n,
                rejects=[{"key": "x", "attempt": 0, "reason": "black"}] * rejects,
                batch_size=1,
                threads=1,
                prompts_sha256={},
                model="m@1",
                versions={},
            )
            store.put(layout.synthetic_manifest(run, multiple, shard, part.number), manifest.model_dump_json().encode())


def put_evaluation(store, config, arm: str, seed: int, run: str = "first") -> None:
    """A result on every test set, of the training that is there and of the splits as they are imported.

    A split that is not is listed as an empty one. The numbers are made up.
    """
    tests = {}
    for name, test in config.tests.items():
        tests[name] = TestResult(
            split=test.split,
            data=split_digest(store, test.split),
            domain=test.domain,
            subset=test.subset,
            n=1,
            top1=0.5,
            top5=1.0,
            per_class={},
            per_class_n={},
        )
    done = store.get(layout.training(run, arm, seed, "done.json"))
    evaluation = Evaluation(
        arm=arm, seed=seed, kind="real", scale=None, model="m", trained=hashlib.sha256(done).hexdigest(), tests=tests
    )
    store.put(layout.evaluation(run, arm, seed), evaluation.model_dump_json().encode())
