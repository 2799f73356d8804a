"""The training of one arm and seed, from its pools to the published model. Safe to kill and run again at any point."""

import json
import math
import platform
import time
from importlib.metadata import version

import torch

from synaug import telemetry
from synaug import telemetry as prometheus
from synaug.config.arms import ResolvedArm
from synaug.data.seeding import derive
from synaug.errors import DataError, ModelError, UsageError
from synaug.run.job import Job, Progress
from synaug.training import arm_pools, model
from synaug.training.checkpoint import TrainingFolder
from synaug.training.distributed import Ranks
from synaug.training.loader import Loader, Source
from synaug.training.trainer import Trainer, learning_rate


def train(job: Job, recipe: ResolvedArm, ranks: Ranks) -> None:
    """Train to the end, from the checkpoint where there is one, and publish. Does nothing where done.json exists."""
    folder = TrainingFolder(job, recipe)
    folder.refuse_changes()
    if folder.done():
        folder.clear()
        return
    begun = time.monotonic()
    if ranks.size > 1 and min(n for n in (recipe.n_real, recipe.n_synthetic) if n) < ranks.size:
        raise UsageError(
            f"arm {recipe.name}: {recipe.n_real} real and {recipe.n_synthetic} synthetic images of a batch are too few for {ranks.size} "
            "ranks; raise batch_size, or use fewer ranks"
        )
    loader, digests = load(job, recipe, ranks)
    torch.manual_seed(derive("init", job.seed))
    network = model.for_arm(model.create(recipe.settings, len(job.plan.classes)), kind=recipe.kind, name=recipe.name)
    trainer = Trainer(network, recipe, ranks, seed=job.seed, classes=len(job.plan.classes), counts=loader.counts())
    state = folder.load(digests)
    if state:
        try:
            trainer.load(state)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(
                f"{folder.key('checkpoint.pt')} is of another model ({reason}); delete it to begin anew"
            ) from error
    start, seconds = (state["step"], state["seconds"]) if state else (0, 0.0)
    trainer.connect()
    metrics, loading = folder.metrics(start), time.monotonic() - begun
    metrics = steps(job, trainer, loader, folder, digests, metrics, start=start, before=seconds)
    if ranks.first:
        seconds += time.monotonic() - begun
        finish(job, trainer, loader, folder, metrics, seconds=seconds, loading=loading)
    ranks.wait()  # the first rank that ends with 0 makes a PyTorchJob succeed: none does before done.json lies there


def load(job: Job, recipe: ResolvedArm, ranks: Ranks) -> tuple[Loader, dict[str, str]]:
    """The loader of this rank, and the digest of each pool."""
    tables = arm_pools.tables(job, recipe)
    counts = {"real": recipe.n_real, "synthetic": recipe.n_synthetic}
    made = [
        Source(
            name,
            pool,
            job.store,
            n=counts[name],
            seed=job.seed,
            window=recipe.window,
            settings=recipe.settings,
        )
        for name, pool in tables.items()
    ]
    loader = Loader(made, recipe.settings, rank=ranks.rank, ranks=ranks.size, threads=job.config.compute.loader_threads)
    return loader, {name: arm_pools.digest(pool) for name, pool in tables.items()}


def passes(loader: Loader, steps: int) -> dict[str, float]:
    """How often each image of each source is seen, on average."""
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
    """Steps start ... recipe.steps - 1; returns the lines of metrics.jsonl. before: seconds spent by earlier runs."""
    recipe, ranks = trainer.recipe, trainer.ranks
    interval = max(1, min(50, recipe.steps // 50))
    totals, begun, last = torch.zeros(3, device=ranks.device), time.monotonic(), time.monotonic()
    batches = loader.batches(start, recipe.steps)
    for step, batch in zip(range(start + 1, recipe.steps + 1), batches, strict=True):
        totals += trainer.step(batch, step - 1)
        telemetry.progress()
        if step % interval and step < recipe.steps:
            continue
        n = interval if step % interval == 0 else step % interval
        real, synthetic, accuracy = (ranks.sum(totals) / n).tolist()
        totals, now = torch.zeros_like(totals), time.monotonic()
        rate, last = n * recipe.settings.batch_size / (now - last), now
        w = recipe.settings.synthetic_weight if recipe.n_synthetic else 0.0
        loss = (1 - w) * real + w * synthetic
        if not math.isfinite(loss):
            raise ModelError(
                f"arm {recipe.name}: the loss is {loss} by step {step}; lower training.lr or raise warmup_steps"
                + (", or set amp: bfloat16" if recipe.settings.amp == "float16" else "")
            )
        if not ranks.first:
            continue
        line = {
            "step": step,
            "loss": loss,
            "loss_real": real,
            "accuracy": accuracy,
            "lr": learning_rate(recipe.settings, step - 1, recipe.steps),
        }
        line |= {"loss_synthetic": synthetic} if recipe.n_synthetic else {}
        prometheus.training(
            step=step, images=n * recipe.settings.batch_size, loss=loss, accuracy=accuracy, images_per_second=rate
        )
        saving = step < recipe.steps and folder.is_time()
        times = {"time": round(time.time(), 1), "checkpoint_time": round(time.time(), 1) if saving else folder.saved}
        metrics.append(json.dumps(line | {"images_per_second": round(rate, 1)} | times))
        detail = {"loss": round(loss, 3), "images/s": round(rate)} | {
            f"passes {k}": v for k, v in passes(loader, step).items()
        }
        job.report(Progress("train", f"train-{recipe.name}-{job.seed}", step, recipe.steps, "step", detail))
        if saving:
            positions = {source.name: step * source.n for source in loader.sources}
            seconds = before + now - begun
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
    recipe, ranks = trainer.recipe, trainer.ranks
    seen = passes(loader, recipe.steps)
    done = recipe.frozen() | {
        "seed": job.seed,
        "passes": seen,
        "images": {source.name: len(source) for source in loader.sources},
        "windows": {source.name: source.order.window for source in loader.sources},
        "seconds": round(seconds, 2),
        "images_per_second": round(recipe.steps * recipe.settings.batch_size / seconds, 1),
        "ranks": ranks.size,
        "device": torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else "cpu",
        "versions": {name: version(name) for name in ("torch", "timm")} | {"python": platform.python_version()},
    }
    folder.finish(model.export(trainer.final), model.export_aux(trainer.final), metrics, done)
    timing = {
        "seconds": round(seconds, 2),
        "phases": {"load": round(loading, 2)},
        "steps": recipe.steps,
        "rate": round(recipe.steps / seconds, 3),
    }
    folder.put_timing(timing)
    print(
        f"train {recipe.name} seed {job.seed}: {recipe.steps} steps, {'; '.join(f'{v:g} passes over {k} images' for k, v in seen.items())}",
        flush=True,
    )
