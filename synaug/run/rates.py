"""How long the work of each stage takes, as `synaug preview` measured it, and what a measurement holds for.

What nobody measured is None, never guessed.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from synaug.config import Config
from synaug.config.arms import ResolvedArm
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.plan import ModelInfo, Plan
from synaug.run.stages import STAGES, Proof, Scope, Stage, long_stages


@dataclass(frozen=True)
class ImagesRate:
    """images_per_second None: unmeasured. source: where the number comes from, for people."""

    images_per_second: float | None
    source: str
    bytes_per_image: float | None = None


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
    """The paces of one run; absent: unmeasured. Their units are classes, images, steps and trained models."""

    workers: int = 1  # processes that were measured side by side, as they will run
    start: float = 0.0  # seconds until the worker processes are ready
    paces: dict[str, dict[str, Pace]] = field(
        default_factory=dict
    )  # by stage, then by `shape`; "" where no arm is in it

    def pace(self, stage: str, shape: str = "") -> Pace | None:
        """Look up the pace of a stage; shape: of the arm, for a stage that is done for each arm and seed."""
        return self.paces.get(stage, {}).get(shape)


def images_digest(config: Config, models: list[ModelInfo], pool: str | None) -> str:
    """Digest what a rate of images holds for: their settings, the diffusion model's revision and the GPU pool."""
    revision = [model.revision for model in models if model.role == "diffusion"]
    return _digest(config.images.model_dump(mode="json"), revision, pool)


def prompts_digest(config: Config, plan: Plan, pool: str | None) -> str:
    """Digest what the pace of prompts holds for."""
    revisions = [[model.role, model.name, model.revision] for model in plan.models if model.role != "diffusion"]
    free = {"llm": {"api_key_env", "price_per_million"}}
    return _digest(
        config.prompts.model_dump(mode="json", exclude=free), config.context, config.threads, revisions, pool
    )


def pace_digest(stage: Stage, config: Config, plan: Plan, pool: str | None) -> str:
    """Digest what the pace of a stage without arms holds for: prompts for their settings, others for the plan."""
    return prompts_digest(config, plan, pool) if stage.proof is Proof.PROMPTS else _digest(plan.digest, pool)


def shape(config: Config, plan: Plan, recipe: ResolvedArm, pool: str | None) -> str:
    """Digest what the pace of an arm's steps and of its evaluation holds for.

    All that makes a step cheaper or dearer is in it, no learning rate.
    """
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
    return _digest(
        settings, recipe.n_real, recipe.n_synthetic, recipe.kind == "auxbn", len(plan.classes), tests, *execution
    )


def known_images_rate(store: Store, run: str, config: Config, plan: Plan) -> ImagesRate:
    """Take compute.rate, else what `synaug preview` measured of these very settings, model and pool."""
    measured = _measured(store, run, "rate")
    outdated = bool(measured) and measured.get("of") != images_digest(config, plan.models, plan.pool)
    if outdated:
        measured = {}
    size = measured.get("bytes_per_image")
    if config.compute.rate:
        return ImagesRate(config.compute.rate, "compute.rate", size)
    if measured:
        return ImagesRate(measured["rate"], f"preview on {measured.get('device', 'an unnamed device')}", size)
    if outdated:
        return ImagesRate(
            None,
            "unmeasured: the preview was of other images settings, another model or pool; "
            "`synaug preview` measures it again",
        )
    return ImagesRate(None, "unmeasured: `synaug preview` measures it, or give compute.rate")


def known_rates(store: Store, run: str, config: Config, plan: Plan) -> Rates:
    """Read what was measured of these very settings, models, device and pool."""
    machine = _measured(store, run, "machine")
    if machine and not _holds(config, machine):
        machine = {}
    of_arms = _measured(store, run, "train") if machine else {}
    paces: dict[str, dict[str, Pace]] = {}
    for name in long_stages():
        stage = STAGES[name]
        if stage.scope is Scope.TRAINING:
            paces[name] = {digest: Pace(**by_stage[name]) for digest, by_stage in of_arms.items() if by_stage.get(name)}
        elif stage.proof is Proof.MANIFESTS:
            speed = known_images_rate(store, run, config, plan).images_per_second
            paces[name] = {"": Pace(machine.get("images_load", 0.0), 1 / speed)} if speed else {}
        else:
            measured = _measured(store, run, name) if machine else {}
            holds = bool(measured) and measured.get("of") == pace_digest(stage, config, plan, plan.pool)
            paces[name] = {"": Pace(**measured["pace"])} if holds else {}
    return Rates(workers=machine.get("workers", 1), start=machine.get("start", 0.0), paces=paces)


def _measured(store: Store, run: str, name: str) -> dict[str, Any]:
    key = layout.timing(run, "preview", name)
    return json.loads(store.get(key)) if store.exists(key) else {}


def _holds(config: Config, machine: dict[str, Any]) -> bool:
    """Rates of one device, or of so many processes side by side, say nothing about another."""
    device, workers = config.compute.device.partition(":")[0], config.compute.workers
    return device in ("auto", machine["device"]) and workers in (0, machine["workers"])


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
