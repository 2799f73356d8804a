"""The benchmarks run, at sizes too small to say anything."""

import json
import sys

import pytest
import torch

from tests import tiny_diffusion
from tests.benchmarks import __main__, auxbn, images, loader, memory, sd15
from tests.benchmarks.result import Result


def test_the_loader_is_measured():
    ratio, rate = loader.run(tars=2, images=8, batch=4, size=32)
    assert ratio.target == ">= 0.9" and ratio.value > 0 and rate.value > 0
    assert len(ratio.details["rates"]["loader"]) == loader.ROUNDS


def test_auxbn_is_measured_beside_plain_bn():
    ratio, details = auxbn.compare("test_resnet", 4, 32, torch.device("cpu"), 2, compile_it=False)
    assert ratio > 0 and len(details["seconds"]["aux"]) == len(details["seconds"]["plain"]) == 2


def test_the_images_stage_is_measured_with_a_stable_diffusion_pipeline(tmp_path):
    model = tiny_diffusion.save_sd(tmp_path)
    ratio, single, rate = images.measure("tiny", 6, 2, profile="sd15", model=str(model), width=32, height=32, num_inference_steps=2)
    assert ratio.target == ">= 0.95" and min(ratio.value, single.value, rate.value) > 0


def test_the_random_stable_diffusion_is_of_the_true_size():
    with torch.device("meta"):
        sizes = {name: sum(weight.numel() for weight in part.parameters()) for name, part in sd15.parts().items()}
    assert sizes == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [(0.94, ">= 0.95", False), (1.04, "<= 1.05", True), (2, "== 1", False), (0, "== 1", False), (1, "== 1", True), (9.0, "", None)],
)
def test_a_missed_target_is_seen(value, target, met):
    assert Result(name="x", value=value, target=target).met is met


def test_a_missed_target_exits_with_3_and_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "run", lambda: [Result(name="too much", value=1.2, target="<= 1.05"), Result(name="told", value=9.0)])
    monkeypatch.setattr(sys, "argv", ["benchmarks", "memory", "--out", "docs/bench/here.json"])
    with pytest.raises(SystemExit, match="3"):
        __main__.main()
    assert "targets not met: too much\n" in capsys.readouterr().out
    written = json.loads((tmp_path / "docs/bench/here.json").read_text())
    assert [result["met"] for result in written["results"]["memory"]] == [False, None]
    assert {"cpu", "cores", "torch", "timm"} <= written["machine"].keys() and len(written["load_before"]) == 3
