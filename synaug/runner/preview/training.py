"""A few optimizer steps of an arm and a few test images, timed: nothing is kept, no checkpoint and no accuracy."""

import time
from dataclasses import dataclass
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
from synaug.run.rates import Pace
from synaug.training import model
from synaug.training.distributed import Ranks
from synaug.training.loader import Loader, Source
from synaug.training.trainer import Trainer

WARM_UP = 5  # steps
SECONDS = 4.0  # of steps that are timed, at least; at least FEWEST of them
FEWEST = 10
TEST_BATCHES = 2  # of a test set that are timed


@dataclass(frozen=True)
class ArmPaces:
    """How long an arm's steps and the evaluation of a model take; None: unmeasured, a test set is not imported."""

    train: Pace
    evaluate: Pace | None


def time_arm(job: Job, arm: ResolvedArm) -> ArmPaces:
    """Time an arm's steps, with real images in place of the synthetic ones, and the evaluation of its model."""
    torch.set_num_threads(job.config.threads)
    torch.set_flush_denormal(True)  # as the train stage
    try:
        device = find_device(job.config.compute.device)
        steps, network = _time_steps(job, arm, Ranks(0, 1, device))
    finally:
        torch.set_flush_denormal(False)
    return ArmPaces(steps, _time_evaluation(job, arm, network.eval(), device))


def _time_steps(job: Job, arm: ResolvedArm, ranks: Ranks) -> tuple[Pace, torch.nn.Module]:
    begun = time.perf_counter()
    real = pools.real_pool(job.store, job.config, job.plan.classes)
    counts = {"real": arm.n_real} | ({"synthetic": arm.n_synthetic} if arm.n_synthetic else {})
    sources = [
        Source(
            name,
            real,
            job.store,
            n=n,
            seed=0,
            window=arm.window,
            settings=arm.settings,
        )
        for name, n in counts.items()
    ]
    loader = Loader(sources, arm.settings, threads=job.config.compute.loader_threads)
    torch.manual_seed(derive("init", 0))
    network = model.for_arm(model.create(arm.settings, len(job.plan.classes)), kind=arm.kind, name=arm.name)
    trainer = Trainer(network, arm, ranks, seed=0, classes=len(job.plan.classes), counts=loader.counts())
    trainer.connect()
    batches, done, loaded, warm = loader.batches(0, arm.steps), 0, 0.0, 0.0
    for batch in batches:
        trainer.step(batch, done)
        telemetry.progress()
        done += 1
        if done in (1, WARM_UP) or done >= WARM_UP + FEWEST:
            now = _now(ranks.device)
            loaded, warm = (now if done == 1 else loaded), (now if done <= WARM_UP else warm)
            if done >= WARM_UP + FEWEST and now - warm >= SECONDS:
                break
    # a training of a few steps is all warm-up
    timed, begin = (done - WARM_UP, warm) if done > WARM_UP else (done, begun)
    each = (_now(ranks.device) - begin) / timed
    batches.close()
    return Pace(load=max(0.0, (loaded or begun) - begun - each), each=each), trainer.final


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@torch.inference_mode()
def _time_evaluation(job: Job, arm: ResolvedArm, network: torch.nn.Module, device: torch.device) -> Pace | None:
    """each: of all test sets; cold: of decoding them, once per process where they are kept."""
    settings, classes, splits = arm.settings, job.plan.classes, {test.split for test in job.config.tests.values()}
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
    return Pace(load=0.0, each=passing + (0.0 if kept else decoding), cold=decoding if kept else 0.0)
