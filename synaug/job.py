"""What a stage is called with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from synaug.config import Config
from synaug.frozen import Plan
from synaug.store import Store


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
    """One stage of one run; `run(job)` in synaug/stages/{stage}.py does it, skips what is done and is safe to repeat."""

    store: Store
    run: str
    config: Config
    plan: Plan
    shard: int | None = None
    arm: str | None = None
    seed: int | None = None
    report: Callable[[Progress], None] = lambda progress: None
