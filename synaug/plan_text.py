"""A plan for people: what will be made, under which licences, and what it takes."""

from synaug.config import Config
from synaug.frozen import Plan
from synaug.progress import duration

GIB = 1024**3


def plan_text(run: str, config: Config, plan: Plan, notes: list[str]) -> str:
    counts, forecast = plan.real_counts.values(), plan.estimate
    shards = [len(shard) for shard in plan.class_shards]
    rows = [
        ("run", f"{run}, scale {plan.scale}x, digest {plan.digest[:12]}"),
        ("real images", f"{sum(counts):,} in {len(plan.classes):,} classes ({min(counts):,} to {max(counts):,} each)"),
        ("synthetic", f"{forecast['images']:,} images, {config.counts}; left to make: {forecast['images_left']:,}"),
        ("class shards", f"{len(shards)} of {_range(shards)} classes, parts of {plan.part_images:,} images, {forecast['tars']:,} tars"),
        ("size", _size(forecast["bytes"])),
        ("rate", f"{forecast['rate']:.3g} images/s a GPU ({forecast['rate_source']})" if forecast["rate"] else forecast["rate_source"]),
        ("GPU time", f"{_hours(forecast['gpu_hours'])}, images only"),
        ("wall time", f"{_hours(forecast['wall_hours'])} on {forecast['gpus']} {config.compute.gpu_name or 'GPU'}, images only"),
        ("cost", f"{_cost(forecast['cost'], forecast['price'])}, images only"),
        ("training", f"{len(config.arms)} arms x {len(config.seeds)} seeds, {len(config.tests)} test sets; its time and cost: no forecast"),
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


def _cost(cost: float | None, price: float | None) -> str:
    if price is None:
        return "give compute.price for an estimate"
    return f"{cost:,.2f} at {price:g} a GPU-hour" if cost is not None else f"unmeasured, at {price:g} a GPU-hour"
