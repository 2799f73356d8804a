"""What all figures share: SVG whose text stays text and whose colours are CSS variables, so that it works in light and dark."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from synaug.evaluation.statistics import WithInterval
from synaug.reporting.formatting import change

# Stand-ins that matplotlib can draw with; `inline` puts the page's variables in their place.
INK, MUTED, GRID, GAIN, LOSS = "#010101", "#020202", "#030303", "#040404", "#050505"
KIND_COLOURS = {"real": "#04a001", "real-half": "#04a002", "naive": "#04a003", "auxbn": "#04a004", "oracle": "#04a005"}
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", GAIN: "--gain", LOSS: "--loss"}
VARIABLES |= {colour: f"--{kind}" for kind, colour in KIND_COLOURS.items()}
MARKERS = {"real": "s", "real-half": "D", "naive": "o", "auxbn": "^", "oracle": "v"}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif'

MARGIN = 10  # points around a figure that stands alone


@dataclass(frozen=True)
class Figure:
    title: str
    svg: str
    says: str  # the same in words, for those who do not see it


@dataclass(frozen=True)
class Mark:
    """A line of a forest."""

    label: str
    colour: str
    marker: str
    one: WithInterval | None


def kind_mark(label: str, kind: str, one: WithInterval | None) -> Mark:
    return Mark(label, KIND_COLOURS[kind], MARKERS[kind], one)


def canvas(width: float, height: float, *, size: float = 9, **grid) -> list:
    """Axes of an empty figure, in inches and points; grid: of matplotlib's `subplots`."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure as Canvas

    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "synaug", "font.family": "sans-serif", "font.size": size})
    several = Canvas(figsize=(width, height), layout="constrained").subplots(squeeze=False, **grid).ravel()
    for axes in several:
        axes.tick_params(colors=INK, labelcolor=INK, color=GRID)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(GRID)
    return list(several)


def inline(figure, number: int, label: str) -> str:
    """SVG to put into a page: no prolog, ids of its own, colours and font of the page."""
    file = io.StringIO()
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
    head = re.match(r"<svg[^>]*>", svg)[0]
    box = re.search(r'viewBox="[^"]*"', head)[0]
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} {box} role="img" aria-label="{escape(label)}">{svg[len(head) :]}'


def _weight_and_size(font: re.Match) -> str:
    return (f"font-weight: {font[1]}; " if font[1] else "") + f"font-size: {font[2]}"


def standalone(svg: str) -> str:
    """The same as a file of its own, for an <img>: it brings size, font, the palette of both themes, and a ground to stand on.

    A page's theme and its reader's system can differ (GitHub lets one choose), hence the ground.
    """
    palette = (resources.files("synaug.reporting") / "templates/palette.css").read_text()
    head = re.match(r"<svg[^>]*>", svg)[0]
    width, height = (float(one) + 2 * MARGIN for one in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head).groups())
    style = f"<style>\n{palette}text {{ font-family: {FONT}; }}\n</style>"
    ground = f'<rect x="{-MARGIN}" y="{-MARGIN}" width="{width:.0f}" height="{height:.0f}" rx="10" style="fill: var(--card)"/>'
    box = f'width="{width:.0f}" height="{height:.0f}" viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}"'
    sized = re.sub(r'viewBox="[^"]*"', box, head)
    return f"{sized}\n{style}\n{ground}{svg[len(head) :]}"


def heading(axes, title: str, note: str) -> None:
    """Of a panel: the title, and what one has to know of it below."""
    from matplotlib import rcParams

    size = rcParams["font.size"]
    axes.set_title(title, fontsize=size, fontweight="bold", color=INK, loc="left", pad=1.8 * size)
    axes.annotate(note, (0, 1), (0, 0.5 * size), "axes fraction", "offset points", color=MUTED, fontsize=size - 1.5)


def bars(one: WithInterval) -> list[list[float]] | None:
    """matplotlib's yerr or xerr, in points."""
    return None if one.low is None else [[100 * (one.mean - one.low)], [100 * (one.high - one.mean)]]


def forest(axes, marks: Sequence[Mark], *, label: str) -> str:
    """Differences from the top down around a line at 0, filled where shown; returns them in words."""
    axes.axvline(0, color=MUTED, linewidth=1)
    for at, mark in enumerate(marks):
        if mark.one is not None:
            axes.errorbar(
                [100 * mark.one.mean],
                [at],
                xerr=bars(mark.one),
                color=mark.colour,
                marker=mark.marker,
                markersize=5.5,
                capsize=2.5,
                markerfacecolor=mark.colour if mark.one.shown else "none",
                linewidth=1.4,
            )
    axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(marks) - 0.4, -0.6)
    axes.set_xlabel(label, color=INK)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    return "; ".join(f"{mark.label} {change(mark.one)}" for mark in marks if mark.one is not None)
