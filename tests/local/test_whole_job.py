"""The whole job on a real S3 server: every stage with its real models, then growth, then nothing left to do."""

import io
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import yaml
from PIL import Image

from synaug.data import layout
from synaug.data.store import Store, open_store
from tests.local import photos
from tests.weed import BUCKET

ROOT = Path(__file__).parents[2]
PHOTOS = 8
RUN_YAML = {
    "classes": "classes.yaml",
    "scale": "1x",
    "class_shards": 2,
    "threads": 1,
    "prompts": {"values": 2, "max_senses": 2, "sense_images": 4, "mix": {"plain": 0.5, "cd": 0.25, "sd": 0.25}},
    "images": {"profile": "embedded", "batch_size": 8, "part_images": 8, "guidance_scale_diversified": 1.5},
    "training": {
        "model": "resnet18",
        "model_kwargs": {"layers": [1, 1, 1, 0], "channels": [16, 16, 32, 32], "stem_type": "deep", "stem_width": 8},
        "image_size": 32,
        "test_crop": 1.0,
        "batch_size": 8,
        "steps": 6,
        "lr": 0.02,
        "augmentation": {"crop": "pad"},
    },
    "arms": {
        "real": {"kind": "real"},
        "auxbn-1x": {"kind": "auxbn", "scale": "1x"},
        "auxbn-2x": {"kind": "auxbn", "scale": "2x"},
    },
    "seeds": [0, 1],
    "tests": {"held-out": {"split": "val", "domain": "in"}},
    "compute": {"workers": 2},
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos of three classes as a person has them, and a run.yaml."""
    photos.put(tmp_path, PHOTOS)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN_YAML, sort_keys=False))
    return tmp_path


def synaug(*arguments: str) -> str:
    """Stdout of a command that succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "synaug", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(store: Store) -> dict[str, bytes]:
    """What was made; the plan's estimate of what is left goes down."""
    return {key: store.get(key) for key in store.list("runs/") if not key.endswith("/plan.json")}


def made(before: dict[str, bytes], after: dict[str, bytes], folder: str) -> set[str]:
    return {key for key in after if key.startswith(f"runs/first/{folder}/") and before.get(key) != after[key]}


@pytest.mark.timeout(900)
def test_from_photos_to_the_report_on_s3(folder, s3_environment):
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    store = open_store(url)
    for split in ("train", "val"):
        synaug(
            "import", str(folder / split), "--store", url, "--split", split, "--classes", str(folder / "classes.yaml")
        )
    shown = synaug("run", "--config", str(folder / "run.yaml"), "--store", url, "--run", "first")

    assert "held-out" in shown and "auxbn-1x" in shown and "auxbn-2x" not in shown
    assert layout.report("first") in shown
    assert b"held-out" in store.get(layout.report("first"))
    index = json.loads(store.get(layout.index("first")))
    assert sum(part["images"] for part in index["parts"]) + len(index["lost"]) == PHOTOS * len(photos.CLASSES)
    for part in index["parts"]:
        manifest = json.loads(store.get(part["manifest"]))
        image = store.get(manifest["tar"], start=manifest["offset"][0], length=manifest["length"][0])
        assert Image.open(io.BytesIO(image)).size == (32, 32)
    for arm in ("real", "auxbn-1x"):
        for seed in (0, 1):
            result = json.loads(store.get(layout.evaluation("first", arm, seed)))["tests"]["held-out"]
            assert result["n"] == PHOTOS * len(photos.CLASSES)
    status = json.loads(synaug("status", "--store", url, "--run", "first", "--json"))
    assert status["finished"]
    assert status["stages"]["images"]["rate"] > 0

    before, began = content(store), time.monotonic()
    synaug("run", "--config", str(folder / "run.yaml"), "--store", url, "--run", "first")
    assert time.monotonic() - began < 15
    assert content(store) == before

    synaug("run", "--config", str(folder / "run.yaml"), "--store", url, "--run", "first", "--scale", "2x")
    grown = content(store)
    assert {key.split("/")[3] for key in made(before, grown, "synthetic")} == {"x2"}
    assert made(before, grown, "prompts") == set()
    assert {key.split("/")[3] for key in made(before, grown, "train")} == {"auxbn-2x"}
    assert json.loads(grown[layout.index("first")])["scale"] == 2
