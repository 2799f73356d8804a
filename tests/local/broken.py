"""A small planned run, and the ways to break it that tests/local/test_errors.py names."""

import errno
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from synaug.__main__ import main
from synaug.config import arms
from synaug.data import layout
from synaug.data.store import open_store
from synaug.run.job import open_run
from tests.planned import put_manifests

CLASSES = ("bag", "coat", "dress", "shirt")
RUN = "first"
RUN_YAML = {
    "classes": [{"id": c, "names": [c]} for c in CLASSES],
    "scale": "1x",
    "class_shards": 2,
    "prompts": {"mix": {"plain": 1, "cd": 0, "sd": 0}},
    "images": {"profile": "embedded", "batch_size": 4, "part_images": 100},
    "training": {"model": "resnet10t", "image_size": 32, "batch_size": 8, "steps": 2, "lr": 0.01},
    "arms": {"real": {"kind": "real"}, "auxbn-1x": {"kind": "auxbn", "scale": "1x"}},
    "tests": {"test": {"split": "train"}},
}


class Site:
    """A folder with photos/, run.yaml and store/, where the run `first` is planned."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.store = open_store(folder / "store")

    def build(self) -> "Site":
        draw = np.random.default_rng(0)
        for name in CLASSES:
            (self.folder / "photos" / name).mkdir(parents=True)
            for n in range(3):
                Image.fromarray(draw.integers(0, 255, (32, 32, 3), np.uint8)).save(
                    self.folder / "photos" / name / f"{n}.jpg"
                )
        (self.folder / "run.yaml").write_text(yaml.safe_dump(RUN_YAML, sort_keys=False))
        for command in (
            ["import", f"{self.folder}/photos"],
            ["plan", "--config", f"{self.folder}/run.yaml", "--run", RUN],
        ):
            assert main([*command, "--store", self.store.url]) == 0
        return self

    def copy(self, folder: Path) -> "Site":
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Site(folder)

    def content(self) -> dict[str, bytes]:
        """All objects but the logs of what failed, which may come."""
        root = self.folder / "store"
        files = (path for path in sorted(root.rglob("*")) if path.is_file())
        return {name: path.read_bytes() for path in files if "logs/" not in (name := path.relative_to(root).as_posix())}


def prompts_exist(site: Site) -> None:
    for class_id in CLASSES:
        text = {
            "class_id": class_id,
            "name": class_id,
            "senses": [],
            "chosen": "",
            "pools": {},
            "plain": [f"a photo of a {class_id}"],
        }
        site.store.put(layout.prompts(RUN, class_id), json.dumps(text).encode())


def an_edit_does_not_parse(site: Site) -> None:
    prompts_exist(site)
    site.store.put(layout.prompts(RUN, "coat"), b'{"class_id": "coat",')


def an_edit_has_an_unknown_key(site: Site) -> None:
    prompts_exist(site)
    text = json.loads(site.store.get(layout.prompts(RUN, "coat"))) | {"plane": ["a photo of a coat"]}
    site.store.put(layout.prompts(RUN, "coat"), json.dumps(text).encode())


def manifests_without_tars(site: Site) -> None:
    config, plan = open_run(site.store, RUN)
    put_manifests(site.store, plan, config, 1)


def tars_of_another_checksum(site: Site) -> None:
    manifests_without_tars(site)
    for shard in range(2):
        site.store.put(layout.synthetic_tar(RUN, 1, shard, 0), b"?")


def _real_tar(site: Site) -> Path:
    return site.folder / "store" / layout.real_tar("train", 0)


def real_tar_is_truncated(site: Site) -> None:
    data = _real_tar(site).read_bytes()
    _real_tar(site).write_bytes(data[: len(data) // 2])


def _web_dataset(site: Site, image: bytes, label: bytes) -> None:
    with tarfile.open(site.folder / "some.tar", "w") as tar:
        for name, data in (("a.jpg", image), ("a.cls", label)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _photo(site: Site) -> bytes:
    return (site.folder / "photos/bag/0.jpg").read_bytes()


def a_tar_with_a_broken_jpeg(site: Site) -> None:
    _web_dataset(site, _photo(site)[:200], b"0")


def an_image_to_image_model(site: Site) -> None:
    (site.folder / "model").mkdir()
    index = {"_class_name": "StableDiffusionImg2ImgPipeline"}
    (site.folder / "model" / "model_index.json").write_text(json.dumps(index))


def a_tar_with_a_label_out_of_range(site: Site) -> None:
    _web_dataset(site, _photo(site), b"7")
    (site.folder / "classes.yaml").write_text(yaml.safe_dump(RUN_YAML["classes"]))


def a_truncated_tar(site: Site) -> None:
    _web_dataset(site, _photo(site), b"0")
    path = site.folder / "some.tar"
    path.write_bytes(path.read_bytes()[:700])


def two_classes_with_one_id(site: Site) -> None:
    (site.folder / "run.yaml").write_text(
        yaml.safe_dump(RUN_YAML | {"classes": [{"id": "bag", "names": [n]} for n in ("bag", "sack")]})
    )


def a_class_without_images(site: Site) -> None:
    classes = [*RUN_YAML["classes"], {"id": "scarf", "names": ["scarf"]}]
    (site.folder / "run.yaml").write_text(yaml.safe_dump(RUN_YAML | {"classes": classes}))


def an_arm_begun_with_another_model(site: Site) -> None:
    config, _ = open_run(site.store, RUN)
    frozen = arms.resolve_arm(config, "real").frozen()
    frozen["settings"]["model"] = "resnet18"
    site.store.put(layout.training(RUN, "real", 0, "settings.json"), json.dumps(frozen).encode())
    site.store.put(layout.training(RUN, "real", 0, "checkpoint.pt"), b"")


def a_checkpoint_that_is_none(site: Site) -> None:
    data = io.BytesIO()
    torch.save({"model": {}}, data)
    site.store.put(layout.training(RUN, "real", 0, "checkpoint.pt"), data.getvalue()[:100])


def refusing(code: int):
    """The disk answers every rename with an error: what a full or read-only one does, also to root."""

    def prepare(site: Site, patch) -> None:
        def fail(*arguments):
            raise OSError(code, os.strerror(code), str(arguments[0]))

        patch.setattr(os, "replace", fail)

    return prepare


full, read_only, denied = refusing(errno.ENOSPC), refusing(errno.EROFS), refusing(errno.EACCES)
