import re

import pytest
from PIL import Image

from synaug.__main__ import main
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.store import open_store
from synaug.stages import images
from tests.images_run import images_job, write_plan


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A run whose first part is made by the embedded models."""
    folder = tmp_path_factory.mktemp("show") / "store"
    job = images_job(open_store(folder, create=True), images=8, part_images=24, num_inference_steps=2)
    write_plan(job)
    images.run(job)
    return str(folder)


def test_an_image_comes_out_again_alone_close_to_the_stored_one(url, tmp_path, capsys):
    assert main(["show", "bag-0000003", "--store", url, "--run", "first", "--output", str(tmp_path / "bag.png")]) == 0
    out = capsys.readouterr().out
    most, mean = map(float, re.search(r"differ by (\d+) at most, ([\d.]+) in the mean", out).groups())
    assert most <= 8 and mean < 0.5 and "a photo of a bag" in out
    assert Image.open(tmp_path / "bag.png").size == (64, 32)


def test_exact_gives_the_same_bytes(url, tmp_path, capsys):
    assert (
        main(
            ["show", "shirt-0000001", "--store", url, "--run", "first", "--exact", "--output", str(tmp_path / "a.png")]
        )
        == 0
    )
    assert "gives the same bytes" in capsys.readouterr().out


def test_exact_notices_that_something_changed(url, tmp_path, capsys):
    store, changed = open_store(url), open_store(tmp_path / "store", create=True)
    for key in store.list("runs/"):
        changed.put(key, store.get(key))
    name = layout.synthetic_manifest("first", 1, 0, 0)
    manifest = Manifest.model_validate_json(store.get(name))
    changed.put(
        name, manifest.model_copy(update={"batch_size": 3, "versions": {"torch": "0.1"}}).model_dump_json().encode()
    )
    code = main(
        [
            "show",
            "shirt-0000001",
            "--store",
            changed.url,
            "--run",
            "first",
            "--exact",
            "--output",
            str(tmp_path / "a.png"),
        ]
    )
    captured = capsys.readouterr()
    assert "torch 0.1 -> " in captured.out
    assert (code, "gives the same bytes" in captured.out) in ((0, True), (3, False))


@pytest.mark.parametrize(
    ("key", "named"),
    [("bag-0000099", "bag-0000000 to bag-0000007"), ("crane-0000001", "no class 'crane'"), ("x", "CLASS_ID-INDEX")],
)
def test_an_unknown_key_is_refused_with_what_there_is(url, capsys, key, named):
    assert main(["show", key, "--store", url, "--run", "first"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("synaug show: ") and named in error and error.count("\n") == 1
