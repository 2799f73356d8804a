"""results.md and the study's page of an invented outcome."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from synaug.reporting.study.outcome import RunOutcome, StudyOutcome
from synaug.reporting.study.pages import write
from tests import browser
from tests import made_outcome as made

DOCS = Path(__file__).parents[4] / "docs"
VOID = {"meta", "link", "br", "img"}
LAYER = {"name": "bn1", "channels": 16, "mean": 0.5, "variance": -0.25, "divergence": 1.0, "weight": 0.1, "bias": 0.1}
MEASURES = {"precision": 0.8, "recall": 0.4, "density": 0.9, "coverage": 0.5}
DIAGNOSTICS = {
    "fidelity": {
        "inputs": {
            "classifier": "main/real/0",
            "trained": "",
            "synthetic": "",
            "scale": 6,
            "images_per_class": 200,
            "tests": {},
        },
        "kinds": {"all": {"top1": 0.7, "n": 3000}, "cd": {"top1": 0.4, "n": 500}},
        "classes": {},
        "real": {"test": {"top1": 0.81, "n": 10000}},
    },
    "coverage": {
        "views": [
            {
                "inputs": {
                    "features": "clip",
                    "model": "embedded",
                    "reference": "train",
                    "real": "",
                    "synthetic": "",
                    "scale": 6,
                    "images_per_class": 200,
                },
                "k": 5,
                "n": {"bag": 50},
                "n_over_all": 500,
                "rows": {"all": {"by_class": MEASURES, "over_all": MEASURES, "classes": {}}},
                "left_out": {},
            }
        ]
    },
    "branches": {"trained": {}, "arms": {"auxbn-6x": {"0": [LAYER], "1": [LAYER | {"mean": 0.7}]}}},
}


def outcome() -> StudyOutcome:
    table = made.table(
        ("main/real", "main/real-half", "main/naive-1x", "main/naive-6x", "main/auxbn-1x", "main/oracle-6x"),
        pairs={
            "AuxBN over naive, 1x": ("main/auxbn-1x", "main/naive-1x"),
        },
    )
    few = {"test": {group: made.interval(0.5, 0.6, 0.7) for group in ("many", "medium", "few")}}
    rows = [table.rows[0].model_copy(update={"shots": few}), *table.rows[1:]]
    main = RunOutcome(
        digest="f" * 64,
        real_images=500,
        synthetic_images=3000,
        changed={"prompts.examples": '["a | b", "<c>"]'},
        seconds={"train": 7200},
    )
    table = table.model_copy(update={"rows": rows})
    again = made.table(("again/naive-6x",), real=(), name="no-real", figure=None)
    return made.outcome(table, again, runs={"main": main}, diagnostics={"main": DIAGNOSTICS})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    write(outcome(), folder)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return (folder / "results.md").read_text().replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "study/report.html").read_text()


def rows(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"| `{name}`")]


def test_equal_outcomes_give_equal_bytes(folder, tmp_path):
    read = StudyOutcome.model_validate_json((folder / "study/outcome.json").read_text())
    assert read == outcome()
    again = write(read, tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in again]
    assert names == [
        "results.md",
        "study/report.html",
        "study/outcome.json",
        "study/figures/scale-scale.svg",
        "study/figures/scale-differences.svg",
        "study/figures/headline.svg",
    ]
    assert [path.read_bytes() for path in again] == [(folder / name).read_bytes() for name in names]


def test_the_docs_are_drawn_from_the_outcome_beside_them(tmp_path):
    written = write(StudyOutcome.model_validate_json((DOCS / "study/outcome.json").read_text()), tmp_path)
    names = {path.relative_to(tmp_path) for path in written}
    assert {path.relative_to(DOCS) for path in DOCS.glob("study/figures/*")} <= names
    other = [str(name) for name in names if (DOCS / name).read_bytes() != (tmp_path / name).read_bytes()]
    assert not other, "draw them again: `synaug study docs/study/*.yaml --store work/study --out docs --draw`"


def test_bold_only_where_shown(results):
    [naive] = rows(results, "naive-1x")
    assert "81.0 ± 0.4 <br> 0.0 [−0.5, +0.5] |" in naive and "<br> **+18.0** [+16.1, +20.0] |" in naive
    [lower] = rows(results, "auxbn-1x")
    assert "<br> **−1.0** [−1.5, −0.6] |" in lower
    [real] = [line for line in rows(results, "real") if "many" not in line][:1]
    assert real.count("±") == 4 and "[" not in real


def test_claimed_and_not_shown_are_beside_each_other(results):
    claimed, not_shown = re.findall(
        r'<td valign="top">(.*?)</td>', results.split("## Invented: no-real")[0], flags=re.S
    )
    assert "<li>auxbn-1x <b>below</b> real-only on test −1.0 [−1.5, −0.6]</li>" in claimed
    assert "<li>naive-1x <b>above</b> real-only on contexts +18.0 [" in claimed
    assert "<li>AuxBN over naive, 1x <b>lower</b> on test −1.0 [" in claimed
    assert "<li>naive-1x against real-only: test 0.0 [−0.5, +0.5]</li>" in not_shown and "<b>" not in not_shown


def test_every_table_has_equal_rows_and_nothing_before_its_rule(results):
    tables = [block for block in re.split(r"\n\n+", results) if block.startswith("|")]
    assert len(tables) >= 8
    for block in tables:
        lines = block.splitlines()
        assert re.fullmatch(r"\|(-+:?\||-+\|)+", lines[1]), block[:200]
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(columns) == 1, block[:300]


def test_comparison_without_real_rows_claims_nothing(results):
    section = results.split("## Invented: no-real")[1].split("## ")[0]
    assert section.count("<li>nothing</li>") == 2 and "Gains are" not in section


def test_shots_diagnostics_runs_and_the_command_are_reported(results):
    assert "| `real` | 60.0 ± 10.0 | 60.0 ± 10.0 | 60.0 ± 10.0 |" in results
    assert "| synthetic, cd | 40.0 | 500 |" in results
    assert "| synthetic, all | 0.80 / 0.80 | 0.40 / 0.40 | 0.90 / 0.90 | 0.50 / 0.50 |" in results
    assert "| bn1 | 16 | 0.60 | −0.25 | 1.00 |" in results
    assert '| `main` | 500 | 3,000 | 2.00 | `prompts.examples`: ["a \\| b", "<c>"] | ffffffffffff |' in results
    assert "    synaug study docs/study/headline.yaml --store work/study --out work/study-results" in results


def test_links_lead_to_what_was_written(results, folder):
    linked = re.findall(r'src="([^"]+)"|\]\((study/[^)]+)\)', results)
    names = {one or other for one, other in linked} - {"study/headline.yaml"}
    assert len(names) >= 4 and all((folder / name).is_file() for name in names)
    anchors = set(re.findall(r"\]\(#([^)]+)\)", results))
    assert anchors and anchors <= set(re.findall(r'<a id="([^"]+)">', results))


class Balanced(HTMLParser):
    """Every element is closed in its order; ids are unique."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.wrong = [], [], []

    def handle_starttag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_page_is_well_formed_and_refers_to_nothing_outside(page):
    parser = Balanced()
    parser.feed(page)
    assert parser.wrong == [] and parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    references = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)|@import""", page)
    assert references and all((one or other).startswith(("data:", "#")) for one, other in references)
    assert "<script" not in page and "&lt;c&gt;" in page and "<c>" not in page


def test_first_screen_of_the_page_says_what_came_out(page):
    first = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("</header>")[0].split("</style>", 1)[1]))
    assert "naive-6x over real images alone: +4.0 points in domain, +18.0 to +39.0 points out of domain" in first
    claimed, not_shown = first.split("Claimed ", 1)[1].split("Not shown", 1)
    assert "oracle-6x below real-only on noise −9.0" in claimed and "AuxBN over naive, 1x lower on" in claimed
    assert "oracle-6x against real-only: contexts 0.0 [" in not_shown


def test_page_as_a_browser_shows_it(folder, tmp_path):
    url = f"file://{folder}/study/report.html"
    with browser.open_browser(tmp_path) as chromium:
        for width, dark in ((1400, False), (390, True)):
            browser.show(chromium, url, width=width, height=900, dark=dark)
            assert browser.requests(chromium) == [url] and chromium.get_log("browser") == []
            assert chromium.execute_script("return document.documentElement.scrollWidth") == width
            shown = chromium.execute_script(
                "return [...document.querySelectorAll('figure svg')].map(s => s.clientWidth)"
            )
            assert len(shown) == 4 and min(shown[:2]) > 700 and min(shown[2:]) > 250
