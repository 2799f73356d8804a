"""A training step with AuxBN against one with plain batch norm: the trainer's own steps on one batch, in turns."""

import time

import torch
from torch._dynamo.utils import counters

from synaug.config import Config, arms
from synaug.training import model
from synaug.training.distributed import Ranks
from synaug.training.loader import TrainingBatch
from synaug.training.trainer import Trainer
from tests.benchmarks.result import Result, ratios, without_gpu

CLASSES = 1000
LIMITS = {"eager": "<= 1.15", "compiled": "<= 1.05"}  # on a GPU; the CPU's are reported
NETWORKS = ("resnet50", "efficientnet_b0")


def run() -> list[Result]:
    """Measure both networks at their true size on a GPU, one at a small size on a CPU."""
    if torch.cuda.is_available():
        return [result for network in NETWORKS for result in measure(network)]
    missing = [(network, way) for network in NETWORKS for way in LIMITS]
    return measure("resnet50") + [without_gpu(name_of(network, way, 256, 224), LIMITS[way]) for network, way in missing]


def name_of(network: str, way: str, batch: int, size: int) -> str:
    precise = "bf16, " if size == 224 else ""
    return f"auxbn: step / plain BN step, {network} {precise}{way}, {batch} of {size} px"


def measure(
    network: str, *, graph_of: str | None = None, size: int = 0, batch: int = 0, repeats: int = 10
) -> list[Result]:
    """Measure one network. graph_of: the model whose graphs are counted; size, batch: 0: as suits the device."""
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", 0) if gpu else torch.device("cpu")
    size, batch = size or (224 if gpu else 64), batch or (256 if gpu else 32)
    settings = {"model": network, "image_size": size, "batch_size": batch, "lr": 1e-3}
    settings |= {"amp": "bfloat16", "channels_last": True} if gpu else {}
    results = [count_graphs(graph_of or (network if gpu else "resnet18"), device)]
    for way in ("eager", "compiled") if gpu else ("eager",):
        plain, aux = (
            build_trainer(kind, device, settings | {"compile": way == "compiled"}) for kind in ("naive", "auxbn")
        )
        seconds = time_in_turns(plain, aux, repeats=repeats, steps=10 if gpu else 1)
        details = {
            "device": str(device),
            "batch": batch,
            "size": size,
            "repeats": repeats,
            "ms a step": {
                kind: [round(1e3 * s, 2) for s in times] for kind, times in zip(("plain", "aux"), seconds, strict=True)
            },
        }
        name, target = name_of(network, way, batch, size), LIMITS[way] if gpu else ""
        results.append(Result(name=name, values=ratios(seconds[1], seconds[0]), target=target, details=details))
    return results


def build_trainer(kind: str, device: torch.device, settings: dict) -> Trainer:
    """Build a training of half real, half synthetic batches, ready to step."""
    config = Config.model_validate(
        {"arms": {"arm": {"kind": kind, "scale": "1x"}}, "training": settings | {"steps": 1_000_000}}
    )
    arm = arms.resolve_arm(config, "arm")
    torch.manual_seed(0)
    network = model.for_arm(model.create(arm.settings, CLASSES), kind=kind, name="arm")
    trainer = Trainer(network, arm, Ranks(0, 1, device), seed=0, classes=CLASSES, counts=[arm.n_real, arm.n_synthetic])
    trainer.connect()
    return trainer


def time_in_turns(plain: Trainer, aux: Trainer, *, repeats: int, steps: int) -> tuple[list[float], list[float]]:
    """Measure seconds a step of each, a repeat at a time in turns; who is first changes, and two repeats go before."""
    n, size = plain.settings.batch_size, plain.settings.image_size
    generator = torch.Generator().manual_seed(0)
    batch = TrainingBatch(
        torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator),
        torch.randint(0, CLASSES, (n,), generator=generator),
    )
    times: dict[Trainer, list[float]] = {plain: [], aux: []}
    for repeat in range(-2, repeats):
        for trainer in (plain, aux) if repeat % 2 else (aux, plain):
            seconds = time_step(trainer, batch, steps)
            times[trainer] += [seconds] if repeat >= 0 else []
    return times[plain], times[aux]


def time_step(trainer: Trainer, batch: TrainingBatch, steps: int) -> float:
    start = time.perf_counter()
    for step in range(steps):
        trainer.step(batch, step)
    if trainer.ranks.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def count_graphs(network: str, device: torch.device, *, batch: int = 8, size: int = 64) -> Result:
    """Count the graphs that torch.compile makes of the AuxBN model over three training steps.

    dynamo's `eager` backend traces alike and is quick.
    """
    torch._dynamo.reset()
    counters.clear()
    trainer = build_trainer("auxbn", device, {"model": network, "image_size": size, "batch_size": batch, "lr": 1e-3})
    trainer.model.compile(backend="eager")
    zeros = torch.zeros(batch, 3, size, size, dtype=torch.uint8)
    time_step(trainer, TrainingBatch(zeros, torch.zeros(batch, dtype=torch.int64)), 3)
    counted, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
    torch._dynamo.reset()
    details = {"graph breaks": breaks, "device": str(device)}
    return Result(
        name=f"auxbn: compiled graphs of {network}, 3 steps",
        values=[counted],
        target="== 1",
        unit="graphs",
        details=details,
    )
