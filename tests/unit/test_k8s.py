"""The development cluster's program, as far as that goes without root and Go: settings, pinned tools, archives."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from k8s import cluster, host, images, prerequisites, process, tools
from k8s.process import OWNER, BootError
from k8s.settings import ADDRESSES, Settings
from synaug.errors import UsageError


def test_node_pods_and_services_share_the_one_network_without_overlap():
    settings = Settings(addresses=ADDRESSES)
    assert (str(settings.node_address), str(settings.pods), str(settings.services)) == (
        "198.18.0.1",
        "198.18.128.0/17",
        "198.19.0.0/16",
    )


@pytest.mark.parametrize(("addresses", "says"), [
    ("198.18.0.1/15", "has host bits set"), ("ten", "such as 198.18.0.0/15"), ("10.0.0.0/24", "too few"),
    ("fd00::/64", "IPv4"),
])  # fmt: skip
def test_addresses_that_cannot_serve_are_refused(addresses, says):
    with pytest.raises(UsageError, match=says) as caught:
        Settings(addresses=addresses)
    assert "\n" not in str(caught.value)


def test_a_folder_too_deep_for_a_socket_is_refused():
    with pytest.raises(UsageError, match="107 bytes"):
        Settings(state=Path("/", "x" * 100))


@pytest.mark.parametrize("act", [host.check_alone, cluster.boot, cluster.down])
def test_a_cluster_of_another_checkout_is_left_alone(act, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    other = subprocess.Popen(["sleep", "60"], env=os.environ | {OWNER: str(tmp_path / "theirs")})
    try:
        # Popen returns once exec has closed its pipe, a moment before the kernel has set up what /proc shows of the new
        # environment.
        assert process.await_condition(lambda: other.pid in process.owned(), 10)
        with pytest.raises(UsageError, match="another development cluster is up, in /"):
            act(Settings(state=tmp_path / "ours"))
        assert not (tmp_path / "ours").exists()
    finally:
        other.kill()
        other.wait()


def test_argo_runs_only_workflows_that_refer_to_a_template():
    config = {"kind": "ConfigMap", "metadata": {"name": "workflow-controller-configmap"}}  # as Argo ships it
    server = {"kind": "Deployment", "metadata": {"name": "argo-server"}, "spec": {}}
    adapted = prerequisites.adapted([config, server])
    assert yaml.safe_load(adapted[0]["data"]["workflowRestrictions"]) == {"templateReferencing": "Strict"}
    assert adapted[1]["spec"]["replicas"] == 0 and "data" not in adapted[1]


@pytest.mark.parametrize("build", tools.BUILDS, ids=lambda build: build.module)
def test_every_tool_is_pinned(build):
    assert build.version.removeprefix("v")[0].isdigit()
    assert "latest" not in (build.folder / "go.mod").read_text()
    assert (build.folder / "go.sum").exists() or not build.requires


def test_tools_are_built_anew_when_a_pin_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "go_version", lambda: "go1.26.8")
    build = tools.tool("pause")
    folder = tmp_path / "pause"
    folder.mkdir()
    (folder / "go.mod").write_text((build.folder / "go.mod").read_text())
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    (tmp_path / "kubernetes").mkdir()
    (tmp_path / "kubernetes" / "go.mod").write_text(f"require {tools.KUBERNETES} v1.34.4\n")
    before = tools.cached(build)
    assert tools.cached(build) == before
    (folder / "go.mod").write_text("module other\n")
    assert tools.cached(build) != before


def test_an_image_archive_names_its_layer_by_content(tmp_path):
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(images.entry_of("etc", tarfile.DIRTYPE, 0o755))
    images.write_archive(tmp_path / "image.tar", "localhost/x:v1", layer, {"Entrypoint": ["x"]})
    with tarfile.open(tmp_path / "image.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        config = json.load(tar.extractfile(manifest[0]["Config"]))
        assert tar.extractfile(manifest[0]["Layers"][0]).read() == layer.read_bytes()
    assert manifest[0]["RepoTags"] == ["localhost/x:v1"]
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 1


def test_a_build_that_fails_names_the_tool_and_its_log(tmp_path, monkeypatch):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\n[ $1 = env ] && echo go1.26.8 && exit\necho undefined: Setpgid >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build = tools.tool("pause")
    with pytest.raises(BootError, match=r"pause .* could not be built: `go build .*` failed") as caught:
        tools.build_one(build, tools.cached(build))
    assert "undefined: Setpgid" in Path(str(caught.value).rsplit(" ", 1)[1]).read_text()
    assert not tools.cached(build).exists()
