"""plan: freezes what a run is, cuts it into class shards, and estimates what it will take (docs/design.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synaug.backends.flops import guess_rate
from synaug.backends.resolve import resolve_clip, resolve_diffusion, resolve_llm, with_pipeline
from synaug.backends.weights import describe_downloads
from synaug.config import Config, arms
from synaug.data import layout
from synaug.data.classes import load_classes
from synaug.data.pools import real_counts
from synaug.data.store import Store
from synaug.errors import DataError, ModelError
from synaug.prompts.strategy import describe_strategy
from synaug.prompts.styles import load_styles
from synaug.run.environment import plan_versions
from synaug.run.forecast import estimate, estimate_images, read_forecast
from synaug.run.identity import difference, digest, identity_table
from synaug.run.job import check_name, publish_run, read_run
from synaug.run.plan import ModelInfo, Plan, active_arms
from synaug.run.rates import ImagesRate, known_images_rate
from synaug.run.sharding import lay_out_shards
from synaug.run.tokens import describe_tokens, expected_tokens


@dataclass(frozen=True)
class Before:
    """The run as it was planned before; begun: prompts or images exist, so that its identity is frozen."""

    config: Config
    plan: Plan
    begun: bool


def make_plan(store: Store, run: str, config: Config) -> tuple[Plan, list[str]]:
    """Write run.yaml and plan.json; returns the plan and what a person should know about it.

    A kill between the two leaves a run that is refused until it is planned again. Raises DataError when finished work
    would be changed, ModelError for a licence that is not accepted, UsageError for arms that cannot be.
    """
    check_name(run, "run")
    _check_arms(config)
    published = {key for key in store.list(layout.synthetic_folder(run)) if key.endswith(".json")}
    begun = bool(published) or next(iter(store.list(layout.prompts_folder(run))), None) is not None
    planned = read_run(store, run) if store.exists(layout.plan(run)) else None
    before = Before(planned.config, planned.plan, begun) if planned else None
    frozen = before if before and before.begun else None
    if before:
        config = _keep_revisions(config, before.config)
    if frozen and _same_models(config, frozen.config):  # neither the hub nor torch is needed to go on
        models = frozen.plan.models
    else:
        config = with_pipeline(config)
        models = [resolve(config) for resolve in _resolvers()]
    asked = describe_strategy(config) if not (frozen and models is frozen.plan.models) else None
    _check_licences(config, models)
    config = _pin_revisions(config, models)
    notes = _waiting_arms(config)
    if not (frozen and _same_models(config, frozen.config)) and (downloads := describe_downloads(config, models)):
        notes.append(downloads)
    draft = _draft(store, run, config, models, frozen)
    if frozen and draft.scale < frozen.plan.scale:
        notes.append(
            f"scale {draft.scale}x is below the {frozen.plan.scale}x planned before: what exists beyond stays, unused"
        )
    notes += _llm_notes(store, run, config, draft, asked)
    rate = known_images_rate(store, run, config, draft)
    if rate.images_per_second is None and (guess := guess_rate(config)):
        notes.append(guess)
    plan = _with_shards(draft, config, rate, frozen, notes)
    images = estimate_images(config, plan, rate, published, run)
    if published:
        notes.append(_growth(plan.scale, images.multiples))
    whole = read_forecast(store, run, config, plan)
    plan = plan.model_copy(update={"estimate": estimate(images, whole)})
    return publish_run(store, run, config, plan), notes


def _llm_notes(store: Store, run: str, config: Config, draft: Plan, asked: str | None) -> list[str]:
    """How the LLM will be asked, and what an endpoint will be asked for."""
    notes = [f"LLM: {asked}"] if asked else []
    if config.prompts.llm.endpoint:
        there = set(store.list(layout.prompts_folder(run)))
        left = sum(layout.prompts(run, entry.id) not in there for entry in draft.classes)
        tokens = expected_tokens(store, run, left)
        expected = describe_tokens(tokens, config) if tokens else "tokens unmeasured: `synaug preview` counts them"
        notes.append(f"LLM: {left:,} classes left to ask about; {expected}")
    return notes


def _waiting_arms(config: Config) -> list[str]:
    waiting = [name for name in config.arms if name not in active_arms(config)]
    return [f"arms that wait for a larger scale: {', '.join(waiting)}"] if waiting else []


def _draft(store: Store, run: str, config: Config, models: list[ModelInfo], frozen: Before | None) -> Plan:
    """The plan without shards and estimate. Raises DataError where it is another run than the one that was begun."""
    classes = load_classes(config, Path())
    counts = real_counts(store, config, classes)
    styles = load_styles(config)
    table = identity_table(config, classes=classes, real_counts=counts, models=models, styles=styles)
    if frozen:
        old = frozen.plan
        old_table = identity_table(
            frozen.config, classes=old.classes, real_counts=old.real_counts, models=old.models, styles=old.styles
        )
        if changed := difference(old_table, table):
            raise DataError(
                f"run {run!r} has prompts or images that were made otherwise: {changed}; "
                "take another --run, or set it back"
            )
    return Plan(
        pool=_pool(run, config, frozen),
        digest=digest(table),
        classes=classes,
        real_counts=counts,
        class_shards=[],
        part_images=1,
        models=models,
        styles=styles,
        scale=config.multiple,
        versions=plan_versions(),
    )


def _with_shards(draft: Plan, config: Config, rate: ImagesRate, frozen: Before | None, notes: list[str]) -> Plan:
    """A begun run keeps its class shards; a measured rate does not cut them again."""
    if frozen:
        shards, part_images = frozen.plan.class_shards, frozen.plan.part_images
    else:
        laid_out = lay_out_shards(config, draft.real_counts, rate.images_per_second)
        shards, part_images = laid_out.class_shards, laid_out.part_images
        if laid_out.capped:
            notes.append(
                f"capped at {len(shards)} class shards: "
                f"each takes more than {config.shard_hours:g} h at {config.max_scale}x"
            )
    return draft.model_copy(update={"class_shards": shards, "part_images": part_images})


def _pool(run: str, config: Config, frozen: Before | None) -> str | None:
    """The GPU pool that the run is made on: of the first plan that names one. Raises DataError for another."""
    pool, recorded = config.compute.pool, frozen.plan.pool if frozen else None
    if pool and recorded and pool != recorded:
        raise DataError(
            f"run {run!r} is made on the GPU pool {recorded!r}, compute.pool={pool} is another: other hardware gives "
            f"other bytes; go on with compute.pool={recorded}, or take another --run"
        )
    return recorded or pool


def _resolvers() -> list[Callable[[Config], ModelInfo]]:
    return [resolve_llm, resolve_clip, resolve_diffusion]


def _same_models(config: Config, old: Config) -> bool:
    return (config.images, config.prompts.llm, config.prompts.clip) == (old.images, old.prompts.llm, old.prompts.clip)


def _check_arms(config: Config) -> None:
    """Raises UsageError for an arm that could not be trained."""
    for name in config.arms:
        check_name(name, "arm")
        arms.resolve_arm(config, name)


def _check_licences(config: Config, models: list[ModelInfo]) -> None:
    for model in models:
        if model.restricted and config.images.accept_license != model.license:
            raise ModelError(
                f"{model.name} is under the restricted licence {model.license}; read it, and if its terms fit your use "
                f"set images.accept_license={model.license}"
            )


def _keep_revisions(config: Config, old: Config) -> Config:
    """A model without a revision stays at the commit that was planned, though the hub may have moved on."""
    images, llm, clip = config.images, config.prompts.llm, config.prompts.clip
    if images.revision is None and (images.profile, images.model) == (old.images.profile, old.images.model):
        images = images.model_copy(update={"revision": old.images.revision, "pipeline": old.images.pipeline})
    if llm.revision is None and llm.model == old.prompts.llm.model:
        llm = llm.model_copy(update={"revision": old.prompts.llm.revision})
    if clip.revision is None and (clip.model, clip.pretrained) == (old.prompts.clip.model, old.prompts.clip.pretrained):
        clip = clip.model_copy(update={"revision": old.prompts.clip.revision})
    prompts = config.prompts.model_copy(update={"llm": llm, "clip": clip})
    return config.model_copy(update={"images": images, "prompts": prompts})


def _pin_revisions(config: Config, models: list[ModelInfo]) -> Config:
    """Stages load exactly the commit that plan resolved; what ships inside synaug or is a folder has none."""
    commit = {
        m.role: m.revision for m in models if len(m.revision) == 40 and set(m.revision) <= set("0123456789abcdef")
    }
    images = config.images.model_copy(update={"revision": commit.get("diffusion", config.images.revision)})
    llm = config.prompts.llm.model_copy(update={"revision": commit.get("llm", config.prompts.llm.revision)})
    clip = config.prompts.clip.model_copy(update={"revision": commit.get("clip", config.prompts.clip.revision)})
    prompts = config.prompts.model_copy(update={"llm": llm, "clip": clip})
    return config.model_copy(update={"images": images, "prompts": prompts})


def _growth(scale: int, multiples: list[int]) -> str:
    if not multiples:
        return f"everything up to {scale}x is there: nothing to make"
    kept = [m for m in range(1, scale + 1) if m not in multiples]
    todo = ", ".join(f"x{m}" for m in multiples)
    if not kept:
        return f"some is there; to make: the rest of {todo}"
    return f"{', '.join(f'x{m}' for m in kept)} as before; to make: {todo}"
