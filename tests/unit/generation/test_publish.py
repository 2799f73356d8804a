"""Two pods on one part: one is presumed lost, its twin takes over, and both live."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.webdataset import TarWriter
from synaug.generation import publish as publishing
from synaug.generation.publish import publish

TAR, KEY = layout.synthetic_tar("r", 1, 0, 0), layout.synthetic_manifest("r", 1, 0, 0)


@pytest.fixture
def made(tmp_path):
    """made("text") -> (path, manifest) of a part whose one image has that text."""

    def make(text: str):
        file = io.BytesIO()
        with TarWriter(file) as writer:
            writer.add("a-0000000", b"jpeg", 0, text=text, metadata={})
            table = writer.close()
        path = tmp_path / f"{text}.tar"
        path.write_bytes(file.getvalue())
        manifest = Manifest(
            tar=TAR,
            **table,
            class_id=["a"],
            kind=["plain"],
            clip_score=[0.3],
            attempt=[0],
            batch_size=1,
            threads=1,
            prompts_sha256={"a": text},
            model="m@1",
            versions={},
        )
        return path, manifest

    return make


def consistent(store) -> Manifest:
    """The published part; its tar is the one that the manifest was made with, and no other lies there."""
    manifest = Manifest.model_validate_json(store.get(KEY))
    assert hashlib.sha256(store.get(manifest.tar)).hexdigest() == manifest.sha256
    assert list(store.list("runs/r/synthetic/")) == sorted([KEY, manifest.tar])
    return manifest


def test_a_published_part_is_never_replaced(store, made):
    assert publish(store, *made("first"))
    assert not publish(store, *made("edited"))
    assert consistent(store).prompts_sha256 == {"a": "first"} and consistent(store).tar == TAR


def test_a_tar_that_a_killed_pod_left_is_used_when_it_is_the_same(store, made):
    path, manifest = made("first")
    store.put(TAR, path)
    assert publish(store, path, manifest)
    assert consistent(store).tar == TAR


def test_a_tar_of_an_edited_prompts_file_does_not_mix_with_the_one_left(store, made):
    store.put(TAR, made("first")[0])
    assert publish(store, *made("edited"))
    assert consistent(store).prompts_sha256 == {"a": "edited"} and consistent(store).tar != TAR


@pytest.mark.parametrize("twin", ["first", "edited"])
def test_a_twin_that_publishes_between_tar_and_manifest_wins(store, made, monkeypatch, twin):
    put_tar = publishing._put_tar

    def overtaken(store, path, manifest):
        tar = put_tar(store, path, manifest)
        monkeypatch.setattr(publishing, "_put_tar", put_tar)
        assert publish(store, *made(twin))
        return tar

    monkeypatch.setattr(publishing, "_put_tar", overtaken)
    assert publish(store, *made("first")) == (
        twin == "first"
    )  # equal bytes: whose they are cannot be told, and does not matter
    assert consistent(store).prompts_sha256 == {"a": twin}


def test_a_conditional_put_says_whether_it_wrote(store, tmp_path):
    (tmp_path / "file").write_bytes(b"2")
    assert store.put("x", b"1", if_absent=True) is True
    assert store.put("x", tmp_path / "file", if_absent=True) is False and store.get("x") == b"1"
    assert store.put("x", b"3") is True and store.get("x") == b"3"
    assert store.put("y", tmp_path / "file", if_absent=True) is True and store.get("y") == b"2"


def test_of_many_that_put_at_once_one_is_told_that_it_did(store):
    with ThreadPoolExecutor(8) as pods:
        wrote = list(pods.map(lambda n: store.put("x", str(n).encode(), if_absent=True), range(8)))
    assert wrote.count(True) == 1 and store.get("x") == str(wrote.index(True)).encode()
