"""What all figures share: SVG whose text stays text, and whose colours are CSS variables, for light and dark.

matplotlib is imported where something is drawn: it is slow to import, and a study is checked and planned without it.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from synaug.evaluation.statistics import WithInterval
from synaug.reporting.formatting import change

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-ins that matplotlib can draw with; `inline` puts the page's variables in their place.
INK, MUTED, GRID, GAIN, LOSS = "#010101", "#020202", "#030303", "#040404", "#050505"
KIND_COLOURS = {"real": "#04a001", "real-half": "#04a002", "naive": "#04a003", "auxbn": "#04a004", "oracle": "#04a005"}
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", GAIN: "--gain", LOSS: "--loss"}
VARIABLES |= {colour: f"--{kind}" for kind, colour in KIND_COLOURS.items()}
MARKERS = {"real": "s", "real-half": "D", "naive": "o", "auxbn": "^", "oracle": "v"}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif'
HEAD = re.compile(r"<svg[^>]*>")
VIEW_BOX = re.compile(r'viewBox="([^"]*)"')

MARGIN = 10  # points around a figure that stands alone


@dataclass(frozen=True)
class Figure:
    title: str
    svg: str
    description: str  # in words, for those who do not see it


@dataclass(frozen=True)
class Mark:
    """A line of a forest plot."""

    label: str
    colour: str
    marker: str
    difference: WithInterval | None


def kind_mark(label: str, kind: str, difference: WithInterval | None) -> Mark:
    """Make a mark with the colour and marker of an arm's kind."""
    return Mark(label, KIND_COLOURS[kind], MARKERS[kind], difference)


def canvas(width: float, height: float, *, size: float = 9, **grid: Any) -> "list[Axes]":
    """Make the axes of an empty figure.

    width, height: inches. size: of the text, in points. grid: arguments of matplotlib's `subplots`.
    """
    from matplotlib import rcParams
    from matplotlib.figure import Figure as Canvas

    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "synaug", "font.family": "sans-serif", "font.size": size})
    panels = Canvas(figsize=(width, height), layout="constrained").subplots(squeeze=False, **grid).ravel()
    for axes in panels:
        axes.tick_params(colors=INK, labelcolor=INK, color=GRID)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(GRID)
    return list(panels)


def inline(axes: "Axes", number: int, label: str) -> str:
    """Write the figure of these axes as SVG for a page: no prolog, ids of its own, colours and font of the page.

    number: of the figure in its page. label: the figure in words.
    """
    figure, file = axes.get_figure(root=True), io.StringIO()
    assert figure is not None  # `canvas` made it
    figure.savefig(
        file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\b(id="|url\(#|href="#)', lambda match: f"{match[1]}f{number}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: (?:(bold|\d+) )?([\d.]+px) [^;\"]*", _weight_and_size, svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    head = _head(svg)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{_view_box(head)}" role="img" aria-label="{escape(label)}">{svg[len(head) :]}'


def _weight_and_size(font: re.Match) -> str:
    return (f"font-weight: {font[1]}; " if font[1] else "") + f"font-size: {font[2]}"


def _head(svg: str) -> str:
    match = HEAD.match(svg)
    assert match  # matplotlib begins with it, and `inline` keeps it first
    return match[0]


def _view_box(head: str) -> str:
    match = VIEW_BOX.search(head)
    assert match  # matplotlib writes one
    return match[1]


def standalone(svg: str) -> str:
    """Make an inline SVG a file of its own, for an <img>, with size, font, the palette of both themes, and a ground.

    A page's theme and its reader's system can differ (GitHub lets one choose), hence the ground.
    """
    palette = (resources.files("synaug.reporting") / "templates/palette.css").read_text()
    head = _head(svg)
    _, _, inner_width, inner_height = map(float, _view_box(head).split())
    width, height = inner_width + 2 * MARGIN, inner_height + 2 * MARGIN
    style = f"<style>\n{palette}text {{ font-family: {FONT}; }}\n</style>"
    ground = (
        f'<rect x="{-MARGIN}" y="{-MARGIN}" width="{width:.0f}" height="{height:.0f}" rx="10" '
        'style="fill: var(--card)"/>'
    )
    box = f'width="{width:.0f}" height="{height:.0f}" viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}"'
    sized = VIEW_BOX.sub(box, head)
    return f"{sized}\n{style}\n{ground}{svg[len(head) :]}"


def heading(axes: "Axes", title: str, note: str) -> None:
    """Put a title over a panel, and below it what one has to know of it."""
    from matplotlib import rcParams

    size = rcParams["font.size"]
    axes.set_title(title, fontsize=size, fontweight="bold", color=INK, loc="left", pad=1.8 * size)
    axes.annotate(note, (0, 1), (0, 0.5 * size), "axes fraction", "offset points", color=MUTED, fontsize=size - 1.5)


def bars(value: WithInterval) -> list[list[float]] | None:
    """Compute the lengths of an interval's error bar, as matplotlib's yerr and xerr take them, in points."""
    if value.low is None or value.high is None:
        return None
    return [[100 * (value.mean - value.low)], [100 * (value.high - value.mean)]]


def forest(axes: "Axes", marks: Sequence[Mark], *, label: str) -> str:
    """Draw differences from the top down around a line at 0, filled where shown, and return them in words."""
    axes.axvline(0, color=MUTED, linewidth=1)
    for row, mark in enumerate(marks):
        if mark.difference is not None:
            axes.errorbar(
                [100 * mark.difference.mean],
                [row],
                xerr=bars(mark.difference),
                color=mark.colour,
                marker=mark.marker,
                markersize=5.5,
                capsize=2.5,
                markerfacecolor=mark.colour if mark.difference.shown else "none",
                linewidth=1.4,
            )
    axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(marks) - 0.4, -0.6)
    axes.set_xlabel(label, color=INK)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    return "; ".join(f"{mark.label} {change(mark.difference)}" for mark in marks if mark.difference is not None)
