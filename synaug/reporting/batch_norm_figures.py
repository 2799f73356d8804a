"""Figures of main against auxiliary batch norms, for the report and a study's page."""

from synaug.evaluation.diagnostics.schema import Branches, Layer, seed_mean
from synaug.reporting.svg import GRID, INK, KIND_COLOURS, MUTED, Figure, canvas, inline

LINES = ("-", (0, (4, 3)), (0, (1, 2)), (0, (6, 2, 1, 2)))  # of arms in one figure
MEASURES = {  # label of the axis, title
    "mean": ("|difference of the means| / std", "distance of the means"),
    "variance": ("ln(aux variance / main variance)", "ratio of the variances"),
}


def branch_figures(branches: Branches | None, number: int) -> list[Figure]:
    """Draw auxiliary against main batch norms along the network: one figure per measure, one line per arm.

    Values are means over seeds. number: of the first figure; each of a page needs its own.
    """
    if not branches:
        return []
    arms = {arm: seed_mean(seeds) for arm, seeds in branches.arms.items()}
    return [_along_the_network(arms, measure, number + n) for n, measure in enumerate(MEASURES)]


def _along_the_network(arms: dict[str, list[Layer]], measure: str, number: int) -> Figure:
    label, title = MEASURES[measure]
    [axes] = canvas(3.8, 2.6)
    for n, (arm, layers) in enumerate(arms.items()):
        values = [getattr(layer, measure) for layer in layers]
        axes.plot(
            range(1, len(values) + 1),
            values,
            label=arm,
            color=KIND_COLOURS["auxbn"],
            linestyle=LINES[n % len(LINES)],
            linewidth=1.4,
            marker="^",
            markersize=3.5,
        )
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("batch norm, from the input on", color=INK)
    axes.set_ylabel(label, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    if len(arms) > 1:
        axes.legend(
            frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(-0.12, 1.0), ncols=3, columnspacing=1.2
        )
    in_words = [
        f"{arm}: {', '.join(f'{layer.name} {getattr(layer, measure):.2f}' for layer in layers)}"
        for arm, layers in arms.items()
    ]
    description = f"{label} by layer. {'; '.join(in_words)}."
    return Figure(title, inline(axes, number, description), description)
