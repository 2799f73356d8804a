"""A plan for people: what will be made, under which licences, and what it takes."""

from synaug.config import Config
from synaug.reporting.formatting import count
from synaug.run.plan import Forecast, Plan
from synaug.run.progress import duration

GIB = 1024**3


def plan_text(run: str, config: Config, plan: Plan, notes: list[str]) -> str:
    """Write what a person reads of a plan, one fact per line; notes come last."""
    assert plan.estimate is not None  # a plan that was just made has one
    counts, estimate, whole = plan.real_counts.values(), plan.estimate, plan.estimate.whole
    shards = [len(shard) for shard in plan.class_shards]
    tars = count(estimate.tars, "tar")
    trainings = f"{count(len(config.arms), 'arm')} x {count(len(config.seeds), 'seed')}"
    rows = [
        ("run", f"{run}, scale {plan.scale}x, digest {plan.digest[:12]}"),
        ("real images", f"{sum(counts):,} in {len(plan.classes):,} classes ({min(counts):,} to {max(counts):,} each)"),
        ("synthetic", f"{estimate.images:,} images, {config.counts}; left to make: {estimate.images_left:,}"),
        (
            "class shards",
            f"{len(shards)} of {_range(shards)} classes, parts of {plan.part_images:,} images, {tars}",
        ),
        ("size", _size(estimate.bytes)),
        ("rate", _rate(estimate.rate, estimate.rate_source, config.compute.gpu_name)),
        ("training", f"{trainings}, {count(len(config.tests), 'test set')}"),
        ("work left", ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in whole.seconds.items())),
        ("GPU time", _hours(whole.gpu_hours) + _missing(whole)),
        ("wall time", f"{duration(whole.wall_seconds)}, {whole.workers} at a time{_missing(whole)}"),
        (
            "cost",
            _cost(whole.cost, whole.price, config.compute.gpu_name)
            + (_missing(whole) if whole.price is not None else ""),
        ),
    ]
    rows += [(model.role, f"{model.name}@{model.revision[:12]}, licence {model.license}") for model in plan.models]
    rows += [("note", note) for note in notes]
    return "\n".join(f"{name:<13} {text}" for name, text in rows)


def _range(numbers: list[int]) -> str:
    return str(min(numbers)) if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"


def _size(size: int | None) -> str:
    if size is None:
        return "unmeasured (`synaug preview` measures it)"
    return f"{size / GIB:.2f} GiB" if size > GIB / 10 else f"{size / 2**20:.1f} MiB"


def _hours(hours: float | None) -> str:
    return duration(None if hours is None else hours * 3600)


def _missing(whole: Forecast) -> str:
    """Name the stages that keep a sum from being known."""
    return f": {', '.join(whole.unmeasured)} (`synaug preview` measures)" if whole.unmeasured else ""


def _rate(rate: float | None, source: str, gpu: str | None) -> str:
    return f"{rate:.3g} images/s a GPU{f' ({gpu})' if gpu else ''} ({source})" if rate else source


def _cost(cost: float | None, price: float | None, gpu: str | None) -> str:
    if price is None:
        return "give compute.price for an estimate"
    return f"{cost:,.2f} at {price:g} a GPU-hour{f' of {gpu}' if gpu else ''}" if cost is not None else "unmeasured"
