"""A finished run as the stages leave it in a store: real tars and manifests of small pictures, made-up accuracies."""

import hashlib
import io
import json

import numpy as np

from synaug.config import Config
from synaug.config.load import dump_config
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.split_writer import Sample, pack
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.embedded.datasets import classes, jpeg, pictures
from synaug.evaluation.diagnostics import schema
from synaug.evaluation.diagnostics.schema import (
    Accuracy,
    Branches,
    Coverage,
    CoverageInputs,
    CoverageMeasures,
    CoverageRow,
    Fidelity,
    FidelityInputs,
    Layer,
    View,
)
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, Sense
from synaug.run.job import Job
from synaug.run.plan import ModelInfo, Plan
from synaug.run.results import Evaluation, TestResult
from synaug.stages import index
from tests.planned import split_digest

RUN = "small"
PER_CLASS = 4
SPLITS = {"train": "train", "test": "dev", "ood-contexts": "dev-ood-contexts", "ood-sketch": "dev-ood-sketch"}
MEANS = {"real": (0.805, 0.12, 0.30), "naive-1x": (0.826, 0.50, 0.41), "auxbn-1x": (0.801, 0.47, 0.305)}


def config(**changes) -> Config:
    """Two scales, three or more arms, three seeds, one test set in domain and two out of it."""
    values = {
        "classes": [{"id": entry.id, "names": entry.names} for entry in classes()],
        "scale": "2x",
        "class_shards": 2,
        "images": {"profile": "embedded", "batch_size": 8, "part_images": 16, "guidance_scale": 1.0},
        "training": {"model": "resnet10t", "image_size": 32, "batch_size": 8, "steps": 20, "test_crop": 1.0},
        "arms": {
            "real": {"kind": "real"},
            "real-half": {"kind": "real-half"},
            "naive-1x": {"kind": "naive", "scale": "1x"},
            "naive-2x": {"kind": "naive", "scale": "2x"},
            "auxbn-1x": {"kind": "auxbn", "scale": "1x"},
            "auxbn-2x": {"kind": "auxbn", "scale": "2x"},
        },
        "seeds": [0, 1, 2],
        "tests": {
            "test": {"split": "test", "domain": "in", "note": "dev photos"},
            "contexts": {"split": "ood-contexts", "domain": "out", "note": "other backgrounds"},
            "sketch": {"split": "ood-sketch", "domain": "out"},
        },
    }
    return Config.model_validate(values | changes)


def job(store: Store, its_config: Config, run: str = RUN) -> Job:
    ids = [entry.id for entry in classes()]
    models = [
        ModelInfo(role="llm", name="SmolLM2-135M-Instruct", revision="0.1.2", license="Apache-2.0"),
        ModelInfo(role="clip", name="embedded CLIP", revision="0a1b2c", license="Apache-2.0"),
        ModelInfo(role="diffusion", name="embedded generator", revision="3d4e5f", license="Apache-2.0"),
    ]
    plan = Plan(
        digest="0" * 64,
        classes=classes(),
        real_counts=dict.fromkeys(ids, PER_CLASS),
        class_shards=[ids[:5], ids[5:]],
        part_images=16,
        models=models,
        styles=["line drawing", "watercolour painting"],
        scale=2,
        versions={"torch": "2.14.0"},
    )
    return Job(store=store, run=run, config=its_config, plan=plan)


def write_splits(store: Store, per_class: int = PER_CLASS) -> None:
    for split, source in SPLITS.items():
        images, labels, keys = pictures(source)
        rows = np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in range(10)])
        samples = [Sample(keys[row], int(labels[row]), jpeg(images[row])) for row in rows]
        pack(store, split, samples, classes=[entry.id for entry in classes()])


def write_plan(one: Job) -> None:
    one.store.put(layout.run_yaml(one.run), dump_config(one.config).encode())
    one.store.put(layout.plan(one.run), one.plan.model_dump_json().encode())


def write_set(one: Job) -> None:
    """Prompts, parts and the index. The images are dev photos."""
    names = {entry.id: entry.name for entry in one.plan.classes}
    digests = {}
    for class_id, name in names.items():
        senses = [
            Sense(sense=name, definition=f"a garment called {name}", score=0.12),
            Sense(sense=name, definition="a word", score=0.05),
        ]
        prompts = ClassPrompts(
            class_id=class_id,
            name=name,
            senses=senses,
            chosen=senses[0].definition,
            margin=0.07,
            flagged=class_id == "bag",
            fallback=["lighting: no usable line"] if class_id == "coat" else [],
            pools={a: ["x"] for a in ATTRIBUTES},
            plain=[f"a photo of a {name}"],
        )
        data = prompts.model_dump_json(indent=1).encode()
        one.store.put(layout.prompts(one.run, class_id), data)
        digests[class_id] = hashlib.sha256(data).hexdigest()
    images, labels, _ = pictures("dev-ood-contexts")
    for multiple in (1, 2):
        for shard in range(len(one.plan.class_shards)):
            for part in one.plan.parts(one.config, shard, multiple):
                _write_part(one, part, images, labels, names, digests)
    index.run(one)


def _write_part(one: Job, part, images, labels, names, digests) -> None:
    file, columns = io.BytesIO(), {"class_id": [], "kind": [], "clip_score": [], "attempt": []}
    with TarWriter(file) as writer:
        for class_id, number in part.images:
            label = one.plan.labels[class_id]
            row = np.flatnonzero(labels == label)[number]
            text = f"a photo of a {names[class_id]}, in a <field> & more"
            writer.add(f"{class_id}-{number:07d}", jpeg(images[row]), label, text=text, metadata={"kind": "plain"})
            kind = ("plain", "cd", "sd")[number % 3]
            for column, value in zip(columns.values(), (class_id, kind, 0.25, 0), strict=True):
                column.append(value)
        table = writer.close()
    tar = layout.synthetic_tar(one.run, part.multiple, part.shard, part.number)
    one.store.put(tar, file.getvalue())
    manifest = Manifest(
        tar=tar,
        **table,
        **columns,
        truncated_prompts=1,
        batch_size=8,
        threads=1,
        prompts_sha256=digests,
        model="embedded@3d4e5f",
        versions={},
    )
    one.store.put(
        layout.synthetic_manifest(one.run, part.multiple, part.shard, part.number), manifest.model_dump_json().encode()
    )


def write_results(one: Job, *, seeds=None, seed: int = 0, means: dict = MEANS) -> None:
    """done.json, timing and evaluation of every arm; accuracies near MEANS, a little more at 2x."""
    rng = np.random.default_rng(seed)
    for name, arm in one.config.arms.items():
        scale = arm.multiple
        own = means.get(name.replace("2x", "1x"), means["real"])
        for training_seed in one.config.seeds if seeds is None else seeds:
            trained = _write_training(one, name, arm.kind, scale, training_seed)
            tests = {
                test: _result(one, test, mean + (0.015 if scale == 2 else 0) + rng.normal(0, 0.004), rng)
                for test, mean in zip(one.config.tests, own, strict=True)
            }
            evaluation = Evaluation(
                arm=name,
                seed=training_seed,
                kind=arm.kind,
                scale=scale,
                model="resnet10t",
                trained=trained,
                tests=tests,
            )
            one.store.put(layout.evaluation(one.run, name, training_seed), evaluation.model_dump_json().encode())


def _result(one: Job, name: str, mean: float, rng) -> TestResult:
    test = one.config.tests[name]
    ids = [entry.id for entry in one.plan.classes]
    spread = rng.normal(0, 0.03, len(ids))
    per_class = {c: float(np.clip(mean + d, 0, 1)) for c, d in zip(ids, spread - spread.mean(), strict=True)}
    top1 = float(np.mean(list(per_class.values())))
    return TestResult(
        split=test.split,
        data=split_digest(one.store, test.split),
        domain=test.domain,
        n=1000,
        top1=top1,
        top5=min(1.0, top1 + 0.1),
        per_class=per_class,
        per_class_n=dict.fromkeys(ids, 100),
    )


def _write_training(one: Job, name: str, kind: str, scale: int | None, seed: int) -> str:
    """The digest of its done.json, which an evaluation records."""
    mixed = kind not in ("real", "real-half")
    done = {
        "arm": name,
        "kind": kind,
        "steps": 10 if kind == "real-half" else 20,
        "scale": scale,
        "seed": seed,
        "seconds": 12.5,
        "passes": {"real": 8.0} | ({"synthetic": 4.0} if mixed else {}),
        "images": {"real": 40} | ({"synthetic": 80} if mixed else {}),
        "images_per_second": 900.0,
        "versions": {"timm": "1.0.31"},
        "settings": one.config.training.model_dump(mode="json"),
    }
    data = json.dumps(done).encode()
    one.store.put(layout.training(one.run, name, seed, "done.json"), data)
    timing = {"seconds": 12.5, "phases": {"load": 0.5}, "steps": 20, "rate": 1.6}
    one.store.put(layout.timing(one.run, "train", f"{name}-{seed}"), json.dumps(timing).encode())
    return hashlib.sha256(data).hexdigest()


def write_findings(one: Job) -> None:
    """Diagnostics of the set as it is, with made-up values."""
    synthetic, kinds, ids = (
        schema.digest(one.store, layout.index(one.run)),
        ("plain", "cd", "sd"),
        [e.id for e in one.plan.classes],
    )
    about = FidelityInputs(
        classifier="small/real/0", trained="0" * 64, synthetic=synthetic, scale=2, images_per_class=200, tests={}
    )
    accuracies = {name: Accuracy(top1=0.9 - n / 10, n=80) for n, name in enumerate((schema.ALL, *kinds))}
    classes, real = dict.fromkeys(ids, Accuracy(top1=0.9, n=8)), {"test": Accuracy(top1=0.8125, n=40)}
    schema.save(one.store, one.run, "fidelity", Fidelity(inputs=about, kinds=accuracies, classes=classes, real=real))
    measures = CoverageMeasures(precision=0.75, recall=0.5, density=1.25, coverage=0.375)
    row = CoverageRow(by_class=measures, over_all=measures, classes=dict.fromkeys(ids, measures))
    of_view = {"model": "a@1", "reference": "train", "real": "0", "synthetic": synthetic}
    views = [
        View(
            inputs=CoverageInputs(features=features, scale=2, images_per_class=200, **of_view),
            k=5,
            n=dict.fromkeys(ids[1:], 20),
            n_over_all=180,
            rows=dict.fromkeys((schema.ALL, *kinds, schema.REAL), row),
            left_out={ids[0]: 4},
        )
        for features in ("clip", "classifier")
    ]
    schema.save(one.store, one.run, "coverage", Coverage(views=views))
    layers = [
        Layer(name=f"bn{n}", channels=8, mean=n / 10, variance=-n / 5, divergence=n / 9, weight=0.1, bias=0.2)
        for n in range(1, 12)
    ]
    trained = {arm: dict.fromkeys((0, 1), "0" * 64) for arm in ("auxbn-1x", "auxbn-2x")}
    schema.save(
        one.store,
        one.run,
        "branches",
        Branches(trained=trained, arms={arm: dict.fromkeys((0, 1), layers) for arm in trained}),
    )


def write_all(store: Store, its_config: Config | None = None, run: str = RUN) -> Job:
    one = job(store, its_config or config(), run)
    write_splits(store)
    write_plan(one)
    write_set(one)
    write_results(one)
    write_findings(one)
    return one
