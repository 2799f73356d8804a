"""A few optimizer steps of an arm and a few test images, timed: nothing is kept of them, no checkpoint and no accuracy."""

import time
from itertools import islice

import torch

from synaug import telemetry
from synaug.backends.devices import find_device
from synaug.config.arms import ResolvedArm
from synaug.data import layout, pools
from synaug.data.seeding import derive
from synaug.data.splits import split_pool
from synaug.evaluation import accuracy
from synaug.run.job import Job
from synaug.training import model
from synaug.training.distributed import Ranks
from synaug.training.loader import Loader, Source
from synaug.training.trainer import Trainer

WARM_UP = 5  # steps
SECONDS = 4.0  # of steps that are timed, at least; at least FEWEST of them
FEWEST = 10
TEST_BATCHES = 2  # of a test set that are timed


def trial(job: Job, recipe: ResolvedArm) -> dict[str, dict | None]:
    """The Pace of a step, and of a model's evaluation, as rates.Pace takes them. Real images stand in for the synthetic ones."""
    torch.set_num_threads(job.config.threads)
    torch.set_flush_denormal(True)  # as the train stage
    try:
        device = find_device(job.config.compute.device)
        steps, network = _steps(job, recipe, Ranks(0, 1, device))
    finally:
        torch.set_flush_denormal(False)
    return {"train": steps, "evaluate": _evaluation(job, recipe, network.eval(), device)}


def _steps(job: Job, recipe: ResolvedArm, ranks: Ranks) -> tuple[dict, torch.nn.Module]:
    begun = time.perf_counter()
    real = pools.real_pool(job.store, job.config, job.plan.classes)
    counts = {"real": recipe.n_real} | ({"synthetic": recipe.n_synthetic} if recipe.n_synthetic else {})
    made = [
        Source(
            name,
            real,
            job.store,
            n=n,
            seed=0,
            window=recipe.window,
            settings=recipe.settings,
        )
        for name, n in counts.items()
    ]
    loader = Loader(made, recipe.settings, threads=job.config.compute.loader_threads)
    torch.manual_seed(derive("init", 0))
    network = model.for_arm(model.create(recipe.settings, len(job.plan.classes)), kind=recipe.kind, name=recipe.name)
    trainer = Trainer(network, recipe, ranks, seed=0, classes=len(job.plan.classes), counts=loader.counts())
    trainer.connect()
    batches, done, loaded, warm = loader.batches(0, recipe.steps), 0, 0.0, 0.0
    for batch in batches:
        trainer.step(batch, done)
        telemetry.progress()
        done += 1
        if done in (1, WARM_UP) or done >= WARM_UP + FEWEST:
            now = _now(ranks.device)
            loaded, warm = (now if done == 1 else loaded), (now if done <= WARM_UP else warm)
            if done >= WARM_UP + FEWEST and now - warm >= SECONDS:
                break
    timed, begin = (
        (done - WARM_UP, warm) if done > WARM_UP else (done, begun)
    )  # a training of a few steps is all warm-up
    each = (_now(ranks.device) - begin) / timed
    batches.close()
    return {"load": max(0.0, (loaded or begun) - begun - each), "each": each, "cold": 0.0}, trainer.final


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@torch.inference_mode()
def _evaluation(job: Job, recipe: ResolvedArm, network: torch.nn.Module, device: torch.device) -> dict | None:
    """each: of all test sets; cold: of decoding them, once a process where they are kept. None while a set is not imported."""
    settings, classes, splits = recipe.settings, job.plan.classes, {test.split for test in job.config.tests.values()}
    if not all(job.store.exists(layout.real_split(split)) for split in splits):
        return None
    decoding = passing = 0.0
    total = 0
    for test in job.config.tests.values():
        tables = split_pool(job.store, test.split, classes)
        images = sum(len(table.key) for table in tables)
        begun = time.perf_counter()
        fresh = accuracy.decoded(job.store, tables, settings, threads=job.config.compute.loader_threads)
        some = list(islice(fresh, TEST_BATCHES))
        fresh.close()
        seen, decoded = sum(len(labels) for _, labels in some), _now(device)
        list(accuracy.count(network, iter(some), len(classes), device=device))
        passing += (_now(device) - decoded) * images / seen
        decoding += (decoded - begun) * images / seen
        total += images
        telemetry.progress()
    kept = accuracy.decoded_bytes(total, settings) <= accuracy.KEPT_BYTES
    return {"load": 0.0, "each": passing + (0.0 if kept else decoding), "cold": decoding if kept else 0.0}
