import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from synaug.config import arms
from synaug.data import layout
from synaug.data.store import open_store
from synaug.training import auxbn, model
from synaug.training.distributed import Ranks
from synaug.training.loader import TrainingBatch
from synaug.training.trainer import Trainer
from tests.gpu import DEVICES, needs_gpu, needs_two_gpus
from tests.gpu.sync_model import BATCH, inputs, outcome, plain
from tests.unit.training import helpers
from tests.weed import free_ports

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}


def torchrun(*arguments: str, processes: int = 2) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        "--master-port",
        str(free_ports(1)[0]),
    ]
    result = subprocess.run([*command, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr


def trainer(device: str, **training) -> Trainer:
    resolved = arms.resolve_arm(helpers.config({"a": {"kind": "auxbn", "scale": "1x"}}, **training), "a")
    torch.manual_seed(0)
    network = model.for_arm(model.create(resolved.settings, 4), kind="auxbn", name="a")
    made = Trainer(network, resolved, Ranks(0, 1, torch.device(device)), seed=0, classes=4, counts=[4, 4])
    made.connect()
    return made


def batch(size: int = 16) -> TrainingBatch:
    generator = torch.Generator().manual_seed(0)
    return TrainingBatch(
        torch.randint(0, 256, (8, 3, size, size), dtype=torch.uint8, generator=generator), torch.arange(8) % 4
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("amp", ["none", "bfloat16"])
def test_a_warmed_up_average_with_copied_buffers_exports_strictly_into_a_plain_timm_model(device, amp):
    who = trainer(device, ema=0.9999, amp=amp)
    for step in range(20):
        who.step(batch(), step)
    exported = safetensors.torch.load(model.export(who.final))
    settings = helpers.MODEL
    tested = timm.create_model(settings["model"], num_classes=4, **settings["model_kwargs"]).eval()
    tested.load_state_dict(exported, strict=True)
    trained = {name: value.cpu() for name, value in auxbn.strip(who.model).items()}
    buffers = {name for name, _ in tested.named_buffers()}
    assert buffers and all(torch.equal(exported[name], trained[name]) for name in buffers)
    start = auxbn.strip(trainer("cpu", ema=0.9999).model)
    ways = [
        ((exported[n] - start[n]).norm() / (trained[n] - start[n]).norm()).item() for n in exported if n not in buffers
    ]
    assert min(ways) > 0.3  # at 0.9999 without a warm-up it would still be at its start
    images = inputs()[:4].float()
    with torch.inference_mode():
        assert torch.allclose(tested(images), who.final.cpu()(images), atol=1e-4)


@pytest.mark.parametrize(
    ("device", "compiled"), [("cpu", False), *(pytest.param("cuda:0", on, marks=needs_gpu) for on in (False, True))]
)
@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_steps_in_half_precision_follow_those_in_single(amp, device, compiled):
    expected, made = trainer("cpu"), trainer(device, amp=amp, channels_last=True, compile=compiled)
    # 64 pixels: of a 3x3 convolution on 1x1 pixels torch 2.14's bfloat16 on a CPU leaves the outer weights' gradients
    # uninitialized
    losses = [
        made.step(batch(64), step).cpu() for step in range(12)
    ]  # float16's first steps can be skipped: the scale begins high
    assert torch.allclose(losses[0][:2], expected.step(batch(64), 0)[:2], rtol=0.05)
    assert losses[-1][:2].sum() < 0.8 * losses[0][:2].sum()
    assert made.scaler.is_enabled() == (amp == "float16")
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in made.model.parameters())


@pytest.mark.parametrize("device", DEVICES)
def test_float16_skips_a_step_that_overflows_and_goes_on(device):
    who = trainer(device, amp="float16")
    who.scaler.load_state_dict(who.scaler.state_dict() | {"scale": 2.0**40})  # each gradient overflows
    before = [weight.clone() for weight in who.model.parameters()]
    who.step(batch(), 0)
    assert all(torch.equal(a, b) for a, b in zip(before, who.model.parameters(), strict=True))
    assert who.scaler.get_scale() == 2.0**39


def expected() -> dict:
    network = auxbn.with_aux(plain()).to("cuda:0").train()
    auxbn.set_split(network, n_real=BATCH // 2, batch=BATCH)
    return outcome(network, inputs().to("cuda:0"))


@needs_gpu
@pytest.mark.parametrize(
    ("backend", "processes"),
    [
        ("nccl", 1),
        ("gloo", 2),
        pytest.param("nccl", 2, marks=needs_two_gpus),
    ],  # NCCL takes no two ranks on one GPU, gloo does
)
def test_sync_bn_over_ranks_equals_batch_norm_over_the_whole_batch(backend, processes, tmp_path):
    torchrun(str(HERE / "sync_rank.py"), backend, str(tmp_path), processes=processes)
    whole, ranks = expected(), [torch.load(tmp_path / f"{n}.pt") for n in range(processes)]
    halves = [rank["outputs"].chunk(2) for rank in ranks]
    outputs = torch.cat([real for real, _ in halves] + [synthetic for _, synthetic in halves])
    assert torch.allclose(outputs, whole["outputs"], atol=1e-6)
    for rank in ranks:
        for kind in ("buffers", "gradients"):
            assert rank[kind].keys() == whole[kind].keys()
            for name, value in whole[kind].items():
                assert torch.allclose(rank[kind][name].to(value.dtype), value, rtol=1e-5, atol=1e-6), (kind, name)


@needs_gpu
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=needs_two_gpus)])
def test_an_auxbn_arm_trains_on_gpus_with_sync_bn_and_publishes_plain_weights(processes, tmp_path):
    store = helpers.filled(open_store(tmp_path / "store", create=True))
    torchrun(str(HERE / "rank.py"), store.url, "auxbn", processes=processes)
    state = safetensors.torch.load(store.get(layout.training("r", "auxbn", 0, "model.safetensors")))
    timm.create_model("test_resnet", num_classes=4, **helpers.MODEL["model_kwargs"]).load_state_dict(state, strict=True)
    assert all(value.isfinite().all() for value in state.values())
