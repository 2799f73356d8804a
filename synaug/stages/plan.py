"""plan: freezes what a run is, cuts it into class shards, and says what it will take (docs/design.md)."""

import argparse
import importlib
import os
import platform
from importlib import metadata
from pathlib import Path

from synaug.config import Config, arms
from synaug.config.load import dump_config, load_config
from synaug.config.scale import parse_scale
from synaug.data import layout
from synaug.data.store import Store, add_store_argument, open_store
from synaug.errors import DataError, ModelError, UsageError
from synaug.run import outputs
from synaug.run.estimate import estimate, known_rate, lay_out_shards
from synaug.run.forecast import read_forecast
from synaug.run.identity import difference, digest, identity_table
from synaug.run.job import check_name, open_run
from synaug.run.plan import ModelInfo, Plan
from synaug.run.status import active_arms, read_state

HELP = "freeze the configuration, cut the run into class shards, estimate the hours and cost of every stage"
EPILOG = """\
reads    run.yaml (or a preset) and the files that it names, the split of real images in the store
writes   runs/NAME/run.yaml and plan.json
needs    imported real images (`synaug import`); the models resolvable: on the hub, or in the local cache when offline

A growth such as --scale 6x plans only what is missing. What decides the images is frozen once images or prompts exist.

example  synaug plan --config run.yaml --store ./store --run first --scale 2x images.guidance_scale=1.5
"""
LIBRARIES = ("synaug", "torch", "diffusers", "transformers", "open_clip_torch", "timm", "pillow", "numpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", metavar="FILE", help="run.yaml")
    source.add_argument("--preset", metavar="NAME", help="demo, imagenet, low-data, long-tail or cluster")
    add_store_argument(parser)
    parser.add_argument("--run", required=True, metavar="NAME", help="name of the run within the store")
    parser.add_argument("--scale", metavar="KX", help="synthetic images for each real one, like 6x; short for scale=6x")
    parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE", help="replaces a field of run.yaml; `synaug config` lists them"
    )


def main(args: argparse.Namespace) -> None:
    from synaug.runner.log_tail import LogTail, ended_if_stalled, log_tail_on_failure

    tail = LogTail("plan", args.store, layout.log(check_name(args.run, "run"), "plan", "all"))
    with log_tail_on_failure(tail):
        config = configured(args)
        with ended_if_stalled(config.compute.stall_minutes, tail):
            _plan(open_store(args.store), args.run, config)


def _plan(store: Store, run: str, config: Config) -> None:
    from synaug.reporting.plan_text import plan_text

    plan, notes = make_plan(store, run, config)
    text = plan_text(run, config, plan, notes)
    print(text)
    if outputs.FOLDER in os.environ:
        outputs.write_plan(run, config, plan, read_state(store, run, *open_run(store, run)), text)


def configured(args: argparse.Namespace) -> Config:
    """The configuration that a command line asks for."""
    overrides = list(args.overrides)
    if args.scale is not None:
        parse_scale(args.scale)
        overrides.append(f"scale={args.scale}")
    if args.preset is not None:
        from synaug.config.load import PRESETS

        if args.preset not in PRESETS:
            raise UsageError(f"there is no preset {args.preset!r}; presets: {', '.join(PRESETS)}")
        return load_config(args.preset, overrides)
    return load_config(Path(args.config), overrides)


def make_plan(store: Store, run: str, config: Config) -> tuple[Plan, list[str]]:
    """Writes run.yaml and plan.json; returns the plan and what a person should know about it.

    Raises DataError when finished work would be changed, ModelError for a licence that is not accepted, UsageError for arms
    that cannot be.
    """
    from synaug.data.classes import load_classes
    from synaug.data.pools import real_counts
    from synaug.prompts.styles import load_styles

    scale = config.multiple
    check_name(run, "run")
    _check_arms(config)
    before = open_run(store, run) if store.exists(layout.plan(run)) else None
    published = {key for key in store.list(layout.synthetic_folder(run)) if key.endswith(".json")}
    begun = bool(published) or next(iter(store.list(layout.prompts_folder(run))), None) is not None
    if before:
        config = _keep_revisions(config, before[0])
    known = before and begun and _same_models(config, before[0])  # neither the hub nor torch is needed to go on
    models = before[1].models if known else [resolve(config) for resolve in _resolvers()]
    _check_licences(config, models)
    config = _pin_revisions(config, models)
    classes = load_classes(config, Path())
    counts = real_counts(store, config, classes)
    styles = load_styles(config)
    table = identity_table(config, classes=classes, real_counts=counts, models=models, styles=styles)
    waiting = [name for name in config.arms if name not in active_arms(config)]
    notes = [f"arms that wait for a larger scale: {', '.join(waiting)}"] if waiting else []
    if before and begun:
        old_config, old = before
        old_table = identity_table(
            old_config, classes=old.classes, real_counts=old.real_counts, models=old.models, styles=old.styles
        )
        if changed := difference(old_table, table):
            raise DataError(
                f"run {run!r} has prompts or images that were made otherwise: {changed}; take another --run, or set it back"
            )
        if scale < old.scale:
            notes.append(f"scale {scale}x is below the {old.scale}x planned before: what exists beyond stays, unused")
    plan = Plan(
        pool=_pool(run, config, before[1] if before and begun else None),
        digest=digest(table),
        classes=classes,
        real_counts=counts,
        class_shards=[],
        part_images=1,
        models=models,
        styles=styles,
        scale=scale,
        estimate={},
        versions=_versions(),
    )
    rate = known_rate(store, run, config, plan)
    if before and begun:
        shards, part_images = before[1].class_shards, before[1].part_images
    else:
        made = lay_out_shards(config, counts, rate.images_per_second)
        shards, part_images = made.class_shards, made.part_images
        if made.capped:
            notes.append(
                f"capped at {len(shards)} class shards: each takes more than {config.shard_hours:g} h at {config.max_scale}x"
            )
    plan = plan.model_copy(update={"class_shards": shards, "part_images": part_images})
    forecast = estimate(config, plan, rate, published, run)
    if published:
        notes.append(_growth(scale, forecast.multiples))
    whole = read_forecast(store, run, config, plan)
    plan = plan.model_copy(update={"estimate": forecast.as_dict() | {"whole": whole.as_dict()}})
    store.put(layout.run_yaml(run), dump_config(config).encode())
    store.put(layout.plan(run), plan.model_dump_json(indent=1).encode())
    return plan, notes


def _pool(run: str, config: Config, begun: Plan | None) -> str | None:
    """The GPU pool that the run is made on: of the first plan that names one. Raises DataError for another."""
    given, recorded = config.compute.pool, begun.pool if begun else None
    if given and recorded and given != recorded:
        raise DataError(
            f"run {run!r} is made on the GPU pool {recorded!r}, compute.pool={given} is another: other hardware gives other bytes; go on "
            f"with compute.pool={recorded}, or take another --run"
        )
    return recorded or given


def _resolvers():
    return [
        importlib.import_module(f"synaug.backends.{name}").resolve for name in ("llm_name", "clip_name", "diffusion")
    ]


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
                f"{model.name} is under the restricted licence {model.license}; read it, and if its terms fit your use set "
                f"images.accept_license={model.license}"
            )


def _keep_revisions(config: Config, old: Config) -> Config:
    """A model without a given revision stays at the commit that the run was planned with, though the hub may have moved on."""
    images, llm, clip = config.images, config.prompts.llm, config.prompts.clip
    if images.revision is None and (images.profile, images.model) == (old.images.profile, old.images.model):
        images = images.model_copy(update={"revision": old.images.revision})
    if llm.revision is None and llm.model == old.prompts.llm.model:
        llm = llm.model_copy(update={"revision": old.prompts.llm.revision})
    if clip.revision is None and (clip.model, clip.pretrained) == (old.prompts.clip.model, old.prompts.clip.pretrained):
        clip = clip.model_copy(update={"revision": old.prompts.clip.revision})
    return config.model_copy(
        update={"images": images, "prompts": config.prompts.model_copy(update={"llm": llm, "clip": clip})}
    )


def _pin_revisions(config: Config, models: list[ModelInfo]) -> Config:
    """Stages load exactly the commit that plan resolved. What ships inside synaug or lies in a folder has no hub revision."""
    commit = {
        m.role: m.revision for m in models if len(m.revision) == 40 and set(m.revision) <= set("0123456789abcdef")
    }
    images = config.images.model_copy(update={"revision": commit.get("diffusion", config.images.revision)})
    llm = config.prompts.llm.model_copy(update={"revision": commit.get("llm", config.prompts.llm.revision)})
    clip = config.prompts.clip.model_copy(update={"revision": commit.get("clip", config.prompts.clip.revision)})
    return config.model_copy(
        update={"images": images, "prompts": config.prompts.model_copy(update={"llm": llm, "clip": clip})}
    )


def _growth(scale: int, multiples: list[int]) -> str:
    if not multiples:
        return f"everything up to {scale}x is there: nothing to make"
    kept = [m for m in range(1, scale + 1) if m not in multiples]
    todo = ", ".join(f"x{m}" for m in multiples)
    return (
        f"{', '.join(f'x{m}' for m in kept)} as before; to make: {todo}"
        if kept
        else f"some is there; to make: the rest of {todo}"
    )


def _versions() -> dict[str, str]:
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # synaug itself, run from a checkout
            from synaug import __version__

            installed[name] = __version__
    return {"python": platform.python_version()} | installed
