"""The training loop fed by the loader against the same loop on batches that are in memory, in turns.

The clock starts when what the loader had made ahead is used up. On a CPU the demo's training, on a GPU ResNet-50 at 224
px in bf16, compiled, on 500x375 JPEGs. On two cores the loader's threads also take time from the model's own, which is
part of the figure.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from synaug.config import Config, arms
from synaug.config.load import load_config
from synaug.data.store import open_store
from synaug.training import model
from synaug.training.distributed import Ranks
from synaug.training.loader import AHEAD, Loader, Source, TrainingBatch
from synaug.training.trainer import Trainer
from tests.benchmarks import loader
from tests.benchmarks.result import Result, ratios, without_gpu

TARGET = ">= 0.95"
TRUE = {
    "model": "resnet50",
    "image_size": 224,
    "batch_size": 256,
    "amp": "bfloat16",
    "channels_last": True,
    "compile": True,
    "lr": 0.1,
}


def run() -> list[Result]:
    gpu = torch.cuda.is_available()
    title = "resnet50 bf16, compiled, 256 of 224 px"
    demo = load_config("demo").training.model_dump(exclude_unset=True)
    results = measure(
        "the demo's training",
        demo,
        size=(32, 32),
        tars=(2, 4),
        per_tar=250,
        steps=60,
        rounds=7,
        threads=2,
        device="cpu",
    )
    if not gpu:
        return [*results, without_gpu(name_of(title), TARGET)]
    return results + measure(
        title,
        TRUE,
        size=(loader.WIDTH, loader.HEIGHT),
        tars=(16, 32),
        per_tar=256,
        steps=60,
        rounds=3,
        threads=max(1, (os.cpu_count() or 1) - 1),
        device="cuda:0",
    )


def name_of(title: str) -> str:
    return f"feeding: {title}, by the loader / on cached batches"


def measure(
    title: str,
    training: dict,
    *,
    size: tuple[int, int],
    tars: tuple[int, int],
    per_tar: int,
    steps: int,
    rounds: int,
    threads: int,
    device: str,
) -> list[Result]:
    """Measure one training.

    size: of the JPEGs in pixels. tars: of real and of synthetic images, `per_tar` in each. steps: of each loop on the
    clock.
    """
    torch.set_num_threads(1)
    if device != "cpu":
        torch._dynamo.reset()
    config = Config.model_validate(
        {"arms": {"arm": {"kind": "auxbn", "scale": "1x"}}, "training": training | {"steps": 1_000_000}}
    )
    arm = arms.resolve_arm(config, "arm")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        counts = {"real": arm.n_real, "synthetic": arm.n_synthetic}
        sources = []
        for (name, n), number in zip(counts.items(), tars, strict=True):
            tables = loader.write(store, number, per_tar, split=name, size=size)
            sources.append(Source(name, tables, store, n=n, seed=0, window=8, settings=arm.settings))
        feed = Loader(sources, arm.settings, threads=threads)
        trainer, ahead = build_trainer(arm, torch.device(device), feed.counts()), AHEAD + 1
        cached = list(feed.batches(0, min(steps, 20)))
        rates: dict[str, list[float]] = {"loader": [], "cached": []}
        time_steps(trainer, itertools.cycle(cached), 0, 3)  # warm-up
        for _ in range(rounds):
            rates["loader"].append(time_steps(trainer, feed.batches(0, ahead + steps), ahead, steps))
            rates["cached"].append(time_steps(trainer, itertools.cycle(cached), ahead, steps))
    batch = arm.settings.batch_size
    details = {
        "device": device,
        "threads": threads,
        "steps": steps,
        "batch": batch,
        "decoded once": sources[0].cache is not None,
    }
    details |= {"images/s": {name: [round(batch * rate, 1) for rate in values] for name, values in rates.items()}}
    return [
        Result(name=name_of(title), values=ratios(rates["loader"], rates["cached"]), target=TARGET, details=details)
    ]


def build_trainer(arm: arms.ResolvedArm, device: torch.device, counts: list[int]) -> Trainer:
    torch.manual_seed(0)
    network = model.for_arm(model.create(arm.settings, 100), kind=arm.kind, name=arm.name)
    trainer = Trainer(network, arm, Ranks(0, 1, device), seed=0, classes=100, counts=counts)
    trainer.connect()
    return trainer


def time_steps(trainer: Trainer, batches: Iterable[TrainingBatch], before: int, steps: int) -> float:
    """Measure steps a second, of `steps` after the first `before`."""
    taken = iter(batches)
    for step in range(before):
        trainer.step(next(taken), step)
    synchronize(trainer)
    start = time.perf_counter()
    for step in range(before, before + steps):
        trainer.step(next(taken), step)
    synchronize(trainer)
    return steps / (time.perf_counter() - start)


def synchronize(trainer: Trainer) -> None:
    if trainer.ranks.device.type == "cuda":
        torch.cuda.synchronize()
