"""The benchmarks run, at sizes too small to say anything."""

import torch

from tests.benchmarks import auxbn, loader
from tests.benchmarks.result import Result


def test_the_loader_is_measured():
    ratio, rate = loader.run(tars=2, images=8, batch=4, size=32)
    assert ratio.target == ">= 0.9" and ratio.value > 0 and rate.value > 0
    assert len(ratio.details["rates"]["loader"]) == loader.ROUNDS


def test_auxbn_is_measured_beside_plain_bn():
    ratio, details = auxbn.compare("test_resnet", 4, 32, torch.device("cpu"), 2, compile_it=False)
    assert ratio > 0 and len(details["seconds"]["aux"]) == len(details["seconds"]["plain"]) == 2


def test_a_missed_target_is_seen():
    assert Result(name="x", value=0.94, target=">= 0.95").met is False
    assert Result(name="x", value=1.04, target="<= 1.05").met is True
    assert Result(name="x", value=9.0).met is None
