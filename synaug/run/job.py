"""What a stage is called with, and how it is opened from a store."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from synaug.config import Config
from synaug.config.fields import kind_of
from synaug.config.load import dump_config, parse_config
from synaug.data import layout
from synaug.data.store import Store, open_store
from synaug.errors import DataError, UsageError
from synaug.run.plan import Plan

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PATIENCE = 10.0  # seconds that a plan may be under way, between its two puts, before a stage refuses the run
PAUSE = 0.5


@dataclass(frozen=True)
class Progress:
    """done of total in `unit` (image, class, step, ...); detail: short facts such as {"loss": 0.3}."""

    stage: str
    task: str  # like images-017 or train-auxbn-2x-0
    done: int
    total: int
    unit: str
    detail: dict = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage of one run: what `run(job)` of its module is called with, which skips what is done."""

    store: Store
    run: str
    config: Config
    plan: Plan
    shard: int | None = None
    arm: str | None = None
    seed: int | None = None
    join: tuple[str, ...] = ()
    report: Callable[[Progress], None] = lambda progress: None


def check_name(name: str, what: str) -> str:
    """Return a name if it can be a folder in the store. Raises UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{what} {name!r}: a name has letters, digits, dots, dashes and _, "
            "begins with a letter or digit, up to 63 in all"
        )
    return name


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """run.yaml and plan.json as they are in the store; `run_yaml` is the SHA-256 of the bytes that `config` is of."""

    config: Config
    plan: Plan
    run_yaml: str

    @property
    def whole(self) -> bool:
        """Tell whether the two belong together; plans from before they recorded a digest show it by the scale."""
        return self.plan.run_yaml in (None, self.run_yaml) and self.plan.scale == self.config.multiple


def open_run(store: Store, run: str, *, pause: Callable[[float], None] = time.sleep) -> tuple[Config, Plan]:
    """Read the frozen configuration and plan.

    A plan that is being written is waited for, PATIENCE seconds, with `pause`. Raises DataError when the run was not
    planned, or not to the end.
    """
    check_name(run, "run")
    planning = f"synaug plan --config run.yaml --store {store.url} --run {run}"
    if not (store.exists(layout.plan(run)) and store.exists(layout.run_yaml(run))):
        raise DataError(f"run {run!r} is not planned in {store.url}; do `{planning}` first")
    planned = read_run(store, run)
    for _ in range(round(PATIENCE / PAUSE)):
        if planned.whole:
            break
        pause(PAUSE)
        planned = read_run(store, run)
    if not planned.whole:
        raise DataError(
            f"{layout.run_yaml(run)} in {store.url} is not the one of its plan.json: planning was interrupted, "
            f"or it was edited there; do `{planning}` again"
        )
    return planned.config, planned.plan


def read_run(store: Store, run: str) -> PlannedRun:
    """Read run.yaml and plan.json once each, also where planning was interrupted between them: to plan again."""
    run_yaml = store.get(layout.run_yaml(run))
    config = parse_config(run_yaml.decode(), name=layout.run_yaml(run))
    plan = Plan.model_validate_json(store.get(layout.plan(run)))
    return PlannedRun(config=config, plan=plan, run_yaml=_digest(run_yaml))


def publish_run(store: Store, run: str, config: Config, plan: Plan) -> Plan:
    """Put run.yaml and then plan.json; returns the plan as it was put.

    The plan says of which run.yaml it is, so that open_run notices a kill between the two; a plan in the store that
    does not say so yet is first put again with it.
    """
    run_yaml = dump_config(config).encode()
    plan = plan.model_copy(update={"run_yaml": _digest(run_yaml)})
    _bind_earlier_plan(store, run)
    store.put(layout.run_yaml(run), run_yaml)
    store.put(layout.plan(run), plan.model_dump_json(indent=1).encode())
    return plan


def _bind_earlier_plan(store: Store, run: str) -> None:
    """Record in a plan from before it held the digest of its run.yaml that of the one that is there."""
    if not store.exists(layout.plan(run)):
        return
    earlier = json.loads(store.get(layout.plan(run)))
    if earlier.get("run_yaml") is None:
        earlier["run_yaml"] = _digest(store.get(layout.run_yaml(run)))
        store.put(layout.plan(run), json.dumps(earlier, indent=1, ensure_ascii=False).encode())


def open_job(
    store_url: str,
    run: str,
    *,
    shard: int | None = None,
    arm: str | None = None,
    seed: int | None = None,
    join: tuple[str, ...] = (),
    overrides: list[str] | tuple[str, ...] = (),
    report: Callable[[Progress], None] | None = None,
) -> Job:
    """Open the job of one stage command.

    overrides: execution settings for this command only, like `compute.device=cuda`. Raises DataError when the run is
    not planned, UsageError for a shard, arm, seed or setting that it does not have.
    """
    store = open_store(store_url)
    config, plan = open_run(store, run)
    if overrides:
        config = _execution(config, overrides)
    if shard is not None and not 0 <= shard < len(plan.class_shards):
        raise UsageError(f"--shard {shard}: run {run!r} has class shards 0 to {len(plan.class_shards) - 1}")
    if arm is not None and arm not in config.arms:
        raise UsageError(f"--arm {arm}: run {run!r} has the arms {', '.join(config.arms) or '(none)'}")
    if seed is not None and seed not in config.seeds:
        raise UsageError(f"--seed {seed}: run {run!r} has the training seeds {', '.join(map(str, config.seeds))}")
    return Job(
        store=store,
        run=run,
        config=config,
        plan=plan,
        shard=shard,
        arm=arm,
        seed=seed,
        join=join,
        report=report or (lambda progress: None),
    )


def refuse_planned(overrides: list[str] | tuple[str, ...]) -> None:
    """Refuse settings that stages take from the plan. Raises UsageError."""
    for override in overrides:
        path = override.partition("=")[0]
        kind = kind_of(path)
        if kind not in (None, "execution"):
            raise UsageError(
                f"{path} is {kind}: stages take it from the plan; "
                "here only execution settings, like compute.device=cuda"
            )


def _execution(config: Config, overrides: list[str] | tuple[str, ...]) -> Config:
    refuse_planned(overrides)
    return parse_config(dump_config(config), overrides, name="the command line")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
