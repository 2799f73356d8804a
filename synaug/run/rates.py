"""How long the work of each stage takes, as `synaug preview` measured it, and what a measurement holds for."""

import hashlib
import json
from dataclasses import dataclass, field

from synaug.config import Config
from synaug.config.arms import ResolvedArm
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.estimate import Rate, known_rate
from synaug.run.plan import Plan


@dataclass(frozen=True)
class Pace:
    """Seconds of one task: load + units x each; cold: more for the first task of a process."""

    load: float
    each: float
    cold: float = 0.0

    def seconds(self, units: int) -> float:
        return self.load + units * self.each


@dataclass(frozen=True, kw_only=True)
class Rates:
    """None and absent: unmeasured. train, evaluate: by `shape`; the units are classes, images, steps and trained models."""

    workers: int = 1  # processes that were measured side by side, as they will run
    prompts: Pace | None = None
    images: Pace | None = None
    train: dict[str, Pace] = field(default_factory=dict)
    evaluate: dict[str, Pace] = field(default_factory=dict)
    start: float = 0.0  # seconds until the worker processes stand


def digest_of(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def prompts_of(config: Config, plan: Plan, pool: str | None) -> str:
    """What the pace of prompts holds for."""
    revisions = [[model.role, model.name, model.revision] for model in plan.models if model.role != "diffusion"]
    return digest_of(config.prompts.model_dump(mode="json"), config.context, config.threads, revisions, pool)


def shape(config: Config, plan: Plan, recipe: ResolvedArm, pool: str | None) -> str:
    """What the pace of an arm's steps and of its evaluation holds for: all that makes a step cheaper or dearer, no learning rate."""
    free = {
        "steps",
        "lr",
        "weight_decay",
        "momentum",
        "warmup_steps",
        "label_smoothing",
        "synthetic_weight",
        "pretrained",
    }
    settings = recipe.settings.model_dump(mode="json", exclude=free) | {"ema": recipe.settings.ema is not None}
    tests = {name: test.split for name, test in config.tests.items()}
    execution = [config.threads, config.compute.loader_threads, pool]
    return digest_of(
        settings, recipe.n_real, recipe.n_synthetic, recipe.kind == "auxbn", len(plan.classes), tests, *execution
    )


def known_rates(store: Store, run: str, config: Config, plan: Plan, images: Rate | None = None) -> Rates:
    """What holds for these very settings, models, device and pool. images: as `known_rate` says, looked up when not given."""
    images = images or known_rate(store, run, config, plan)
    machine = _read(store, run, "machine")
    if machine and not _holds(config, machine):
        machine = {}
    first = _read(store, run, "prompts") if machine else {}
    if first.get("of") != prompts_of(config, plan, plan.pool):
        first = {}
    trained = _read(store, run, "train") if machine else {}
    loading = machine.get("images_load", 0.0)
    return Rates(
        workers=machine.get("workers", 1),
        start=machine.get("start", 0.0),
        prompts=Pace(**first["pace"]) if first else None,
        images=Pace(loading, 1 / images.images_per_second) if images.images_per_second else None,
        train={name: Pace(**facts["train"]) for name, facts in trained.items()},
        evaluate={name: Pace(**facts["evaluate"]) for name, facts in trained.items() if facts["evaluate"]},
    )


def _read(store: Store, run: str, name: str) -> dict:
    key = layout.timing(run, "preview", name)
    return json.loads(store.get(key)) if store.exists(key) else {}


def _holds(config: Config, machine: dict) -> bool:
    """Rates of one device, or of so many processes side by side, say nothing about another."""
    device, workers = config.compute.device.partition(":")[0], config.compute.workers
    return device in ("auto", machine["device"]) and workers in (0, machine["workers"])
