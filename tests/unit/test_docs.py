"""The pages say what is there: files, tests, targets, links, and a README of two minutes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = ("configuration.md", "results.md")  # by `synaug config` and `synaug study`
HISTORY = "log.md"  # what was true on its days
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in (*WRITTEN, HISTORY)),
]
FOLDERS = ("synaug", "pipelines", "recipes", "tests", "docs", "helm", "images", "k8s", ".ci")
README_BYTES = 9 * 1024
FILES = (".py", ".yaml", ".toml", ".txt")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """What a link to a page may name after #, as GitHub makes it of a heading."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pages
def test_paths_exist(page):
    paths = [span for span in code_spans(page.read_text()) if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?|[\w.-]+/", span)]
    ours = [path for path in paths if path.split("/")[0] in FOLDERS and not re.search(r"[A-Z]{3,}", Path(path).name)]
    assert [path for path in ours if not list(ROOT.glob(path.rstrip("/")))] == []


def test_what_a_recipe_names_is_in_a_file_that_it_names():
    recipes = (ROOT / "CONTRIBUTING.md").read_text().split("\n### ")[1:]
    assert len(recipes) == 14
    for recipe in recipes:
        spans = code_spans(recipe)
        there = "\n".join(path.read_text() for span in spans if (path := ROOT / span).is_file())
        dotted = [span for span in spans if re.fullmatch(r"\w+(\.\w+)*", span) and not span.endswith(FILES)]
        names = [span.rpartition(".")[2] for span in dotted]
        assert [name for name in names if not re.search(rf"\b{name}\b", there)] == [], recipe.splitlines()[0]


def test_each_recipe_says_what_to_touch_what_to_test_and_the_trap():
    for recipe in (ROOT / "CONTRIBUTING.md").read_text().split("\n### ")[1:]:
        assert re.findall(r"^- \*\*(Touch|Test first|Trap)\*\*", recipe, re.MULTILINE) == [
            "Touch",
            "Test first",
            "Trap",
        ]


@pages
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    broken = []
    for link in (link for link in links if "://" not in link):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pages
def test_make_targets_exist(page):
    text = page.read_text()
    code = [*code_spans(text), *re.findall(r"^ {4}(.*)$", text, re.MULTILINE)]
    named = [name for line in code for name in re.findall(r"(?:^|&& )make ([a-z-]+)\b", line)]
    assert set(named) - targets() == set()


def test_make_targets_that_messages_name_exist():
    sources = [path for folder in ("synaug", "pipelines", "k8s", "images") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"`make ([a-z-]+)", path.read_text())}
    assert named - targets() == set()


def test_the_readme_takes_two_minutes():
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


def test_readme_and_contributing_agree_on_the_tests():
    """Their number and minutes; the number is of the day of a release."""
    readme = re.search(r"make test +# the ([\d,]+) tests, about (\d+) minutes", (ROOT / "README.md").read_text())
    text = (ROOT / "CONTRIBUTING.md").read_text()
    contributing = re.search(r"`make test` takes about (\d+) minutes \(([\d,]+) tests\)", text)
    assert readme and contributing
    assert (readme[1], readme[2]) == (contributing[2], contributing[1])


def test_the_list_of_pages_is_complete():
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text())
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {*listed, "README.md"} == set()
