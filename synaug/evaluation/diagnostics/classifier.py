"""The classifier that judges synthetic images: an exported arm that has seen real images only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.errors import DataError, UsageError
from synaug.evaluation import accuracy
from synaug.evaluation.diagnostics.schema import digest
from synaug.run.job import Job, open_run

REAL_ONLY = ("real", "real-half", "oracle")  # an oracle's second source is real, too


@dataclass(frozen=True)
class Classifier:
    name: str  # RUN/ARM/SEED
    trained: str  # SHA-256 of done.json
    settings: TrainingSettings
    classes: int
    weights: bytes

    def load(self, device: torch.device | str) -> nn.Module:
        """Build the network with its weights, in eval mode on the device.

        Raises DataError where they are of another model.
        """
        model = accuracy.load_model(self.settings, self.classes, self.weights).to(device)
        return model.to(memory_format=torch.channels_last) if self.settings.channels_last else model


@dataclass(frozen=True)
class Candidates:
    """Trainings that a classifier may be read from; the first finished one is taken."""

    run: str
    arms: Sequence[str]
    seeds: Sequence[int]


def find_classifier(job: Job, name: str | None) -> Classifier:
    """Find the finished training that judges the job's images.

    name: RUN/ARM or RUN/ARM/SEED of the store, without SEED the first trained one; None: of the job's own real arms the
    first trained one. Raises UsageError for a name of no such form or an arm that saw synthetic images, DataError where
    none is trained.
    """
    candidates = _own(job) if name is None else _named(job, name)
    run, arms, seeds = candidates.run, candidates.arms, candidates.seeds
    for arm in arms:
        for seed in seeds:
            if job.store.exists(layout.training(run, arm, seed, "done.json")):
                return _read(job, run, arm, seed)
    if not arms:
        raise DataError(
            f"run {run!r} has no arm of kind real; add one under `arms:`, or name another run's: --classifier RUN/ARM"
        )
    command = f"synaug train --store {job.store.url} --run {run} --arm {arms[0]} --seed {seeds[0]}"
    raise DataError(f"no real arm is trained: run `{command}`, or name another run's with --classifier RUN/ARM")


def _own(job: Job) -> Candidates:
    real = [name for name, arm in job.config.arms.items() if arm.kind == "real"]
    return Candidates(job.run, real, job.config.seeds)


def _named(job: Job, name: str) -> Candidates:
    """Raises UsageError and DataError as `find_classifier` says."""
    run, _, rest = name.partition("/")
    arm, _, seed = rest.partition("/")
    if not run or not arm or (seed and not seed.isdecimal()):
        raise UsageError(f"--classifier {name!r} is no classifier; give RUN/ARM or RUN/ARM/SEED, like {job.run}/real/0")
    config, plan = open_run(job.store, run)
    if arm not in config.arms:
        raise UsageError(f"--classifier {name}: run {run!r} has the arms {', '.join(config.arms) or '(none)'}")
    if config.arms[arm].kind not in REAL_ONLY:
        raise UsageError(
            f"--classifier {name}: {arm} is trained on synthetic images, too; "
            f"give an arm of kind {', '.join(REAL_ONLY)}"
        )
    if [entry.id for entry in plan.classes] != [entry.id for entry in job.plan.classes]:
        raise DataError(
            f"--classifier {name}: run {run!r} has other classes than {job.run!r}; give a run of the same classes"
        )
    return Candidates(run, [arm], [int(seed)] if seed else config.seeds)


def _read(job: Job, run: str, arm: str, seed: int) -> Classifier:
    settings = json.loads(job.store.get(layout.training(run, arm, seed, "settings.json")))["settings"]
    return Classifier(
        name=f"{run}/{arm}/{seed}",
        trained=digest(job.store, layout.training(run, arm, seed, "done.json")),
        settings=TrainingSettings.model_validate(settings),
        classes=len(job.plan.classes),
        weights=job.store.get(layout.training(run, arm, seed, "model.safetensors")),
    )
