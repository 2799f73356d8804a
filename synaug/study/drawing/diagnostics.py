"""What explains the figures: `synaug diagnose`'s findings of a run as tables."""

from dataclasses import dataclass
from statistics import mean
from typing import Any

from synaug.reporting.wording import MINUS, points

MEASURES = ("precision", "recall", "density", "coverage")
STATISTICS = ("mean", "variance", "divergence")


@dataclass(frozen=True)
class Panel:
    """A table with a sentence that says how to read it."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def panels(found: dict[str, Any]) -> list[Panel]:
    """found: the contents of runs/{run}/diagnostics/{fidelity,coverage,branches}.json, those that there are."""
    told = []
    if "fidelity" in found:
        told.append(_fidelity(found["fidelity"]))
    if "coverage" in found:
        told += [_coverage(view) for view in found["coverage"]["views"]]
    if "branches" in found:
        told += [_branches(arm, by_seed) for arm, by_seed in found["branches"]["arms"].items()]
    return told


def _fidelity(found: dict) -> Panel:
    rows = [[f"synthetic, {kind}", points(one["top1"]), f"{one['n']:,}"] for kind, one in found["kinds"].items()]
    rows += [[f"real, {test}", points(one["top1"]), f"{one['n']:,}"] for test, one in found["real"].items()]
    classifier = found["inputs"]["classifier"]
    text = f"Top-1 in % of a classifier trained on real images, {classifier}, on synthetic ones and on real ones that it has not seen."
    return Panel("Fidelity", text, ["images", "top-1", "n"], rows)


def _coverage(view: dict) -> Panel:
    inputs = view["inputs"]
    rows = [[kind, *(decimal(row["by_class"][measure]) for measure in MEASURES)] for kind, row in view["rows"].items()]
    text = (
        f"Of synthetic against real images ({inputs['reference']}), within each class, {view['k']} neighbours in the features of "
        f"{inputs['model']}, equally many of each row. `real`: real against other real images, what a perfect generator would reach."
    )
    return Panel(f"Coverage, {inputs['features']} features", text, ["images", *MEASURES], rows)


def _branches(arm: str, by_seed: dict[str, list[dict]]) -> Panel:
    layers = list(zip(*by_seed.values(), strict=True))
    rows = [
        [same[0]["name"], str(same[0]["channels"]), *(decimal(mean(one[column] for one in same)) for column in STATISTICS)]
        for same in layers
    ]  # fmt: skip
    text = (
        "Batch norm of real images against that of synthetic ones, layer by layer, mean over channels and seeds: distance of the running "
        "means in standard deviations, ln(aux variance / main variance), symmetric KL divergence in nats."
    )
    return Panel(f"Main against aux statistics, {arm}", text, ["layer", "channels", "means", "variances", "divergence"], rows)


def decimal(value: float) -> str:
    return f"{value:.2f}".replace("-", MINUS)
