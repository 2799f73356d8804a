"""The training of one arm and seed, from its pools to the published model. Safe to kill and run again at any point."""

import json
import math
import platform
import time
from importlib.metadata import version

import torch

from synaug import telemetry
from synaug.config.arms import ResolvedArm
from synaug.data.manifest import TarTable
from synaug.data.seeding import derive
from synaug.errors import DataError, ModelError, UsageError
from synaug.run.job import Job, Progress
from synaug.training import arm_pools, model
from synaug.training.checkpoint import TrainingFolder
from synaug.training.distributed import Ranks
from synaug.training.loader import Loader, Source
from synaug.training.trainer import Trainer, learning_rate


def train(job: Job, arm: ResolvedArm, ranks: Ranks) -> None:
    """Train to the end, from the checkpoint where there is one, and publish; nothing happens where it is finished.

    Raises UsageError for a batch that the ranks cannot share, DataError for pools, settings or a checkpoint that do not
    fit, ModelError for a model that cannot be made or diverges.
    """
    folder = TrainingFolder(job, arm)
    if folder.finished():
        return
    started = time.monotonic()
    if ranks.size > 1 and min(n for n in (arm.n_real, arm.n_synthetic) if n) < ranks.size:
        raise UsageError(
            f"arm {arm.name}: {arm.n_real} real and {arm.n_synthetic} synthetic images of a batch are too few for "
            f"{ranks.size} ranks; raise batch_size, or use fewer ranks"
        )
    tables = arm_pools.tables(job, arm)
    digests = {name: arm_pools.digest(pool) for name, pool in tables.items()}
    loader = open_loader(job, arm, tables, ranks, seed=folder.seed)
    torch.manual_seed(derive("init", folder.seed))
    network = model.for_arm(model.create(arm.settings, len(job.plan.classes)), kind=arm.kind, name=arm.name)
    trainer = Trainer(network, arm, ranks, seed=folder.seed, classes=len(job.plan.classes), counts=loader.counts())
    state = folder.load(digests)
    if state:
        try:
            trainer.load(state)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(
                f"{folder.key('checkpoint.pt')} is of another model ({reason}); delete it to begin from scratch"
            ) from error
    start, seconds = (state["step"], state["seconds"]) if state else (0, 0.0)
    trainer.connect()
    metrics, loading = folder.metrics(start), time.monotonic() - started
    metrics = steps(job, trainer, loader, folder, digests, metrics, start=start, before=seconds)
    if ranks.first:
        seconds += time.monotonic() - started
        finish(job, trainer, loader, folder, metrics, seconds=seconds, loading=loading)
    ranks.wait()  # the first rank that ends with 0 makes a PyTorchJob succeed: none does before done.json is there


def open_loader(job: Job, arm: ResolvedArm, tables: dict[str, list[TarTable]], ranks: Ranks, *, seed: int) -> Loader:
    """Make the loader of this rank. tables: by source, as arm_pools.tables gives them.

    Raises DataError for an empty pool.
    """
    counts = {"real": arm.n_real, "synthetic": arm.n_synthetic}
    sources = [
        Source(name, pool, job.store, n=counts[name], seed=seed, window=arm.window, settings=arm.settings)
        for name, pool in tables.items()
    ]
    threads = job.config.compute.loader_threads
    return Loader(sources, arm.settings, rank=ranks.rank, ranks=ranks.size, threads=threads)


def passes(loader: Loader, steps: int) -> dict[str, float]:
    """Compute how often each image of each source is seen, on average."""
    return {source.name: round(steps * source.n / len(source), 3) for source in loader.sources}


def steps(
    job: Job,
    trainer: Trainer,
    loader: Loader,
    folder: TrainingFolder,
    digests: dict,
    metrics: list[str],
    *,
    start: int,
    before: float,
) -> list[str]:
    """Take the steps start ... arm.steps - 1, and return the lines of metrics.jsonl.

    digests: of each pool, for checkpoints. metrics: the lines up to `start`. before: seconds spent by earlier runs.
    Raises ModelError when the loss is not finite.
    """
    arm, ranks = trainer.arm, trainer.ranks
    interval = max(1, min(50, arm.steps // 50))
    totals, started, last = torch.zeros(3, device=ranks.device), time.monotonic(), time.monotonic()
    batches = loader.batches(start, arm.steps)
    for step, batch in zip(range(start + 1, arm.steps + 1), batches, strict=True):
        totals += trainer.step(batch, step - 1)
        telemetry.progress()
        if step % interval and step < arm.steps:
            continue
        n = interval if step % interval == 0 else step % interval
        real, synthetic, accuracy = (ranks.sum(totals) / n).tolist()
        totals, now = torch.zeros_like(totals), time.monotonic()
        rate, last = n * arm.settings.batch_size / (now - last), now
        w = arm.settings.synthetic_weight if arm.n_synthetic else 0.0
        loss = (1 - w) * real + w * synthetic
        if not math.isfinite(loss):
            raise ModelError(
                f"arm {arm.name}: the loss is {loss} by step {step}; lower training.lr or raise warmup_steps"
                + (", or set amp: bfloat16" if arm.settings.amp == "float16" else "")
            )
        if not ranks.first:
            continue
        line = {
            "step": step,
            "loss": loss,
            "loss_real": real,
            "accuracy": accuracy,
            "lr": learning_rate(arm.settings, step - 1, arm.steps),
        }
        line |= {"loss_synthetic": synthetic} if arm.n_synthetic else {}
        telemetry.training(
            step=step, images=n * arm.settings.batch_size, loss=loss, accuracy=accuracy, images_per_second=rate
        )
        saving = step < arm.steps and folder.is_time()
        times = {"time": round(time.time(), 1), "checkpoint_time": round(time.time(), 1) if saving else folder.saved}
        metrics.append(json.dumps(line | {"images_per_second": round(rate, 1)} | times))
        detail = {"loss": round(loss, 3), "images/s": round(rate)} | {
            f"passes {k}": v for k, v in passes(loader, step).items()
        }
        job.report(Progress("train", f"train-{arm.name}-{folder.seed}", step, arm.steps, "step", detail))
        if saving:
            positions = {source.name: step * source.n for source in loader.sources}
            seconds = before + now - started
            folder.save(
                trainer.state() | {"step": step, "positions": positions, "pools": digests, "seconds": seconds}, metrics
            )
        else:
            folder.show(metrics)
    return metrics


def finish(
    job: Job,
    trainer: Trainer,
    loader: Loader,
    folder: TrainingFolder,
    metrics: list[str],
    *,
    seconds: float,
    loading: float,
) -> None:
    """Publish the model, done.json and the timing.

    seconds: of the whole training, earlier runs of it included. loading: seconds before this run's first step.
    """
    arm, ranks = trainer.arm, trainer.ranks
    seen = passes(loader, arm.steps)
    done = arm.frozen() | {
        "seed": folder.seed,
        "passes": seen,
        "images": {source.name: len(source) for source in loader.sources},
        "windows": {source.name: source.order.window for source in loader.sources},
        "seconds": round(seconds, 2),
        "images_per_second": round(arm.steps * arm.settings.batch_size / seconds, 1),
        "ranks": ranks.size,
        "device": torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else "cpu",
        "versions": {name: version(name) for name in ("torch", "timm")} | {"python": platform.python_version()},
    }
    folder.finish(model.export(trainer.final), model.export_aux(trainer.final), metrics, done)
    timing = {
        "seconds": round(seconds, 2),
        "phases": {"load": round(loading, 2)},
        "steps": arm.steps,
        "rate": round(arm.steps / seconds, 3),
    }
    folder.put_timing(timing)
    passed = "; ".join(f"{count:g} passes over {name} images" for name, count in seen.items())
    print(f"train {arm.name} seed {folder.seed}: {arm.steps} steps, {passed}", flush=True)
