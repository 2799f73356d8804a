"""images/control.txt holds what the pods without torch import: run for real where nothing else can be imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synaug.data import layout
from synaug.data.store import open_store
from tests import small_run
from tests.distributions import closure, foreign_modules, normal

ROOT = Path(__file__).resolve().parents[2]


def required() -> list[str]:
    lines = (ROOT / "images" / "control.txt").read_text().splitlines()
    return [normal(line) for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def only_control(tmp_path_factory):
    """Runs Python with nothing but control.txt's packages and the code."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).with_name("refuse.py"), folder / "sitecustomize.py")
    refused = " ".join(module for module in foreign_modules(required()) if module not in ("synaug", "pipelines"))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "REFUSED": refused}
        return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)

    return run


def test_what_is_not_in_the_image_cannot_be_imported(only_control):
    done = only_control("-c", "import torch")
    assert done.returncode == 1 and "torch is not in the image" in done.stderr


def test_index_and_report_work_on_a_finished_run(only_control, tmp_path):
    store = open_store(str(tmp_path / "store"), create=True)
    small_run.write_all(store)
    store.delete(layout.index(small_run.RUN))
    for stage in ("index", "report"):
        done = only_control("-m", "synaug", stage, "--store", store.url, "--run", small_run.RUN)
        assert done.returncode == 0, done.stderr
    assert store.exists(layout.index(small_run.RUN)) and b"<html" in store.get(layout.report(small_run.RUN))[:500]


def test_launcher_exit_handler_fetch_and_the_store_on_s3_have_their_packages(only_control):
    modules = [
        "pipelines.commands.launch",
        "pipelines.commands.finish",
        "pipelines.commands.fetch",
        "pipelines.launcher.launcher",
        "pipelines.launcher.jobs",
        "pipelines.operations.log_transfer",
        "kubernetes.client",
        "synaug.data.s3_store",
        "huggingface_hub",
    ]
    done = only_control("-c", f"import {', '.join(modules)}")
    assert done.returncode == 0, done.stderr


def test_every_package_of_the_small_image_is_pinned_and_none_is_heavy():
    pinned = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    held = closure(required())
    assert held - pinned == set()
    assert not held & {"torch", "timm", "transformers", "diffusers", "open-clip-torch"}
