"""The classifier that judges synthetic images: an exported arm that has seen real images only."""

import json
from dataclasses import dataclass

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.errors import DataError, UsageError
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

    def load(self, device):
        """The network, in eval mode on the device."""
        import torch

        from synaug.evaluation import accuracy

        model = accuracy.load_model(self.settings, self.classes, self.weights).to(device)
        return model.to(memory_format=torch.channels_last) if self.settings.channels_last else model


def find_classifier(job: Job, name: str | None) -> Classifier:
    """name: RUN/ARM or RUN/ARM/SEED of the store; None: the first real arm of the job's run. Without SEED the first trained one.

    Raises UsageError for a name of no such form or an arm that saw synthetic images, DataError for one that is not trained.
    """
    if name is None:
        run, arms, seeds = (
            job.run,
            [arm for arm, own in job.config.arms.items() if own.kind == "real"],
            job.config.seeds,
        )
        arm = arms[0] if arms else None
    else:
        run, arm, seeds = _parsed(job, name)
        arms = [arm]
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


def _parsed(job: Job, name: str) -> tuple[str, str, list[int]]:
    run, _, rest = name.partition("/")
    arm, _, seed = rest.partition("/")
    if not run or not arm or (seed and not seed.isdecimal()):
        raise UsageError(f"--classifier {name!r} is no classifier; give RUN/ARM or RUN/ARM/SEED, like {job.run}/real/0")
    config, plan = open_run(job.store, run)
    if arm not in config.arms:
        raise UsageError(f"--classifier {name}: run {run!r} has the arms {', '.join(config.arms) or '(none)'}")
    if config.arms[arm].kind not in REAL_ONLY:
        raise UsageError(
            f"--classifier {name}: {arm} is trained on synthetic images, too; give an arm of kind {', '.join(REAL_ONLY)}"
        )
    if [entry.id for entry in plan.classes] != [entry.id for entry in job.plan.classes]:
        raise DataError(
            f"--classifier {name}: run {run!r} has other classes than {job.run!r}; give a run of the same classes"
        )
    return run, arm, [int(seed)] if seed else config.seeds


def _read(job: Job, run: str, arm: str, seed: int) -> Classifier:
    settings = json.loads(job.store.get(layout.training(run, arm, seed, "settings.json")))["settings"]
    return Classifier(
        name=f"{run}/{arm}/{seed}",
        trained=digest(job.store, layout.training(run, arm, seed, "done.json")),
        settings=TrainingSettings.model_validate(settings),
        classes=len(job.plan.classes),
        weights=job.store.get(layout.training(run, arm, seed, "model.safetensors")),
    )
