"""Figures of an invented outcome: what they show, and that they say the same in words."""

import re
import xml.etree.ElementTree as ET

import pytest

from synaug.reporting.study.figures import curves, figures
from synaug.reporting.svg import KIND_COLOURS, VARIABLES, standalone
from tests import made_outcome as made

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn():
    scale = made.table(pairs=made.PAIRS)
    gains = made.table(("main/real", "main/naive-1x", "main/auxbn-1x"), name="kinds", figure="gains")
    return figures(made.outcome(scale, gains, made.table(("main/real",), name="plain", figure=None)))


def words(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


def filled(svg: str, variable: str) -> int:
    """Marks filled in a colour of the palette, with the two ends of every bar."""
    return len(re.findall(rf'<use [^>]*style="fill: var\({variable}\)', svg))


def test_each_comparison_has_the_figure_it_asks_for_and_its_differences(drawn):
    assert list(drawn) == ["scale-scale", "scale-differences", "kinds-gains"]


def test_figures_say_the_same_in_words(drawn):
    for one in drawn.values():
        assert ET.fromstring(one.svg).get("aria-label") == one.description
    assert (
        "main/naive-6x 85.0% (84." in drawn["scale-scale"].description
        and "On test" not in drawn["scale-scale"].description
    )
    assert (
        "On test: naive-1x 0.0 points [−0.5, +0.5]; auxbn-1x −1.0 points [−1.5, −0.6]"
        in drawn["kinds-gains"].description
    )
    assert "second generation seed over the first, 6x −0.3 points [" in drawn["scale-differences"].description


def test_lines_are_named_beside_them_and_a_second_run_is_thin(drawn):
    told = words(drawn["scale-scale"].svg)
    for name in ("naive", "auxbn", "oracle", "real", "real-half"):
        assert told.count(name) == 4
    assert any("10 training seeds an arm; thin: run again" in one for one in told)
    again = [curve for curve in curves(made.table()) if curve.again]
    assert [(curve.run, curve.stem, [row.scale for row in curve.rows]) for curve in again] == [
        ("again", "naive", [1, 3, 6])
    ]


def test_axes_say_where_they_begin(drawn):
    told = words(drawn["scale-scale"].svg)
    assert "in domain, % from 79" in told and told.count("out of domain, % from 0") == 3


def test_marks_are_filled_where_shown(drawn):
    svg = drawn["kinds-gains"].svg
    assert filled(svg, "--naive") == 4 * 2 + 3  # in domain 1x shows nothing
    assert filled(svg, "--auxbn") == 4 * 2 + 4
    assert filled(drawn["scale-differences"].svg, "--loss") == 3 * 2 + 3


def test_colours_are_the_pages_and_ids_are_the_figures_own(drawn):
    everything = "".join(one.svg for one in drawn.values())
    assert not [colour for colour in VARIABLES if colour in everything]
    ids = re.findall(r'\bid="([^"]+)"', everything)
    assert len(ids) == len(set(ids)) > 100
    assert set(KIND_COLOURS) == {"real", "real-half", "naive", "auxbn", "oracle"}


def test_a_file_of_its_own_brings_palette_font_size_and_ground(drawn):
    alone = ET.fromstring(standalone(drawn["scale-scale"].svg))
    style = alone.find(f"{SVG}style").text
    used = set(re.findall(r"var\((--[\w-]+)\)", standalone(drawn["scale-scale"].svg)))
    light, dark = style.split("prefers-color-scheme: dark")
    assert used and all(f"{name}:" in light and f"{name}:" in dark for name in used)
    assert alone.find(f"{SVG}rect").get("style") == "fill: var(--card)"
    assert int(alone.get("width")) == 812 and alone.get("viewBox").startswith("-10 -10 812 ")


def test_without_real_rows_or_scales_there_is_nothing_to_draw():
    assert figures(made.outcome(made.table(("main/real",), name="a", figure="scale"))) == {}
    assert figures(made.outcome(made.table(("main/naive-1x",), real=(), name="a", figure="gains"))) == {}


def test_one_seed_is_drawn_without_bars():
    one = made.table(("main/real", "main/naive-1x", "main/naive-6x"), seeds=1)
    assert "(8" not in figures(made.outcome(one))["scale-scale"].description
