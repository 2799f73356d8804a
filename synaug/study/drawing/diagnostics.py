"""What explains the figures: `synaug diagnose`'s findings of a run as tables."""

from dataclasses import dataclass
from statistics import mean
from typing import Any

from synaug.reporting.wording import points

MEASURES = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class Panel:
    """A table with a sentence that says how to read it."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def tables(found: dict[str, Any]) -> list[Panel]:
    """found: the contents of runs/{run}/diagnostics/{fidelity,coverage,branches}.json, those that there are."""
    panels = []
    if "fidelity" in found:
        panels.append(_fidelity(found["fidelity"]))
    if "coverage" in found:
        panels += [_coverage(view) for view in found["coverage"]["views"]]
    if "branches" in found:
        panels += [_branches(arm, by_seed) for arm, by_seed in found["branches"]["arms"].items()]
    return panels


def _fidelity(found: dict) -> Panel:
    rows = [[f"synthetic, {kind}", points(one["top1"]), f"{one['n']:,}"] for kind, one in found["kinds"].items()]
    rows += [[f"real, {test}", points(one["top1"]), f"{one['n']:,}"] for test, one in found["real"].items()]
    text = f"Top-1 in % of a classifier trained on real images ({found['inputs']['classifier']}) on synthetic images, and on real ones it has not seen."
    return Panel("Fidelity", text, ["images", "top-1", "n"], rows)


def _coverage(view: dict) -> Panel:
    inputs = view["inputs"]
    rows = [[kind, *(f"{row['by_class'][measure]:.2f}" for measure in MEASURES)] for kind, row in view["rows"].items()]
    text = (
        f"Of synthetic against real images ({inputs['reference']}) in the features of {inputs['model']}, within each class, k = {view['k']}; "
        "`real`: real against other real images, what a perfect generator would reach. Every row has the same number of images."
    )
    return Panel(f"Coverage, {inputs['features']} features", text, ["images", *MEASURES], rows)


def _branches(arm: str, by_seed: dict[str, list[dict]]) -> Panel:
    layers = list(zip(*by_seed.values(), strict=True))
    rows = [
        [same[0]["name"], str(same[0]["channels"]), *(f"{mean(one[column] for one in same):.2f}" for column in ("mean", "variance", "divergence"))]
        for same in layers
    ]
    text = (
        "Main against auxiliary batch norm, layer by layer, mean over channels and seeds: distance of the running means in standard deviations, "
        "ln(aux variance / main variance), symmetric KL divergence in nats."
    )
    return Panel(f"Main against aux statistics, {arm}", text, ["layer", "channels", "means", "variances", "divergence"], rows)
