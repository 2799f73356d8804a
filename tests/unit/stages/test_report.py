"""The report as a browser shows it: what it says, that it asks for nothing, and that its numbers are evaluate's."""

import json
import re
import statistics
from dataclasses import replace

import pytest

from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.reporting.report import narrative
from synaug.reporting.report.data import gather
from synaug.stages import report
from tests import browser, small_run

LONG = {f"set-{n}": {"split": "test", "domain": "out"} for n in range(6)}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return small_run.write_all(open_store(str(tmp_path_factory.mktemp("report") / "store"), create=True))


@pytest.fixture(scope="module")
def page(job):
    """URL of the report of a finished run."""
    report.run(job)
    return f"file://{job.store.url.removeprefix('file://')}/{layout.report(job.run)}"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.open_browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def html(job) -> str:
    report.run(job)
    return job.store.get(layout.report(job.run)).decode()


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_page_asks_for_nothing_complains_of_nothing_and_never_scrolls_sideways(chromium, page, width, height, dark):
    browser.show(chromium, page, width=width, height=height, dark=dark)
    assert browser.requests(chromium) == [page]
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return document.documentElement.scrollWidth") == width
    wide = chromium.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre, svg'))"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert contrast(chromium) >= 4.5


def contrast(chromium) -> float:
    """The lowest contrast (WCAG 2) of text with what is behind it."""
    colours = chromium.execute_script(
        "const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;"
        " if (!c.startsWith('rgba(0, 0, 0, 0')) return c } };"
        "return [...document.querySelectorAll('h1, h2, p, td, th, li, span.sub, summary, .tag')]"
        ".map(e => [getComputedStyle(e).color, behind(e)])"
    )

    def luminance(colour):
        parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    ratios = []
    for pair in {tuple(one) for one in colours}:
        low, high = sorted(luminance(one) for one in pair)
        ratios.append((high + 0.05) / (low + 0.05))
    return min(ratios)


def test_every_figure_and_picture_is_drawn_and_described(chromium, page):
    browser.show(chromium, page, width=390, height=844)
    figures = chromium.execute_script(
        "const size = e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height];"
        "return [...document.querySelectorAll('figure svg')].map(s => ({box: size(s),"
        " drawn: [...s.querySelectorAll('path, use')].filter(p => p.getBoundingClientRect().width > 0).length,"
        " words: [...s.querySelectorAll('text')].map(t => t.textContent), label: s.getAttribute('aria-label')}))"
    )
    assert len(figures) == 3 + 3 + 2 + 2
    for figure in figures:
        assert min(figure["box"]) > 100 and figure["drawn"] > 10
        assert len(figure["words"]) > 3
        assert "naive" in figure["label"] or "points over" in figure["label"] or "by layer" in figure["label"]
    pictures = chromium.execute_script("return [...document.images].map(i => [i.naturalWidth, i.alt])")
    assert len(pictures) == 10 * (4 + 6) + 3 * 10
    assert all(width > 0 and alt for width, alt in pictures)
    ids = chromium.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_numbers_are_those_of_evaluates_json(chromium, page, job):
    browser.show(chromium, page, width=1280, height=800)
    cells = chromium.execute_script(
        "return [...document.querySelectorAll('#accuracy-table td[data-arm]')]"
        ".map(c => [c.dataset.arm, c.dataset.test, c.dataset.mean, c.firstChild.textContent.trim()])"
    )
    assert len(cells) == 6 * 3
    for arm, test, mean, shown in cells:
        keys = [layout.evaluation(job.run, arm, seed) for seed in job.config.seeds]
        top1 = [json.loads(job.store.get(key))["tests"][test]["top1"] for key in keys]
        assert float(mean) == pytest.approx(statistics.mean(top1), abs=1e-12)
        assert shown == f"{100 * statistics.mean(top1):.1f} ± {100 * statistics.stdev(top1):.1f}"


def test_many_test_sets_do_not_widen_the_page(chromium, job, tmp_path):
    config = small_run.config(tests=small_run.config().model_dump()["tests"] | LONG)
    store = open_store(str(tmp_path / "store"), create=True)
    wide = small_run.job(store, config)
    small_run.write_splits(store)
    many = {name: small_run.MEANS[name] + (0.3,) * 6 for name in small_run.MEANS}
    small_run.write_results(wide, means=many)
    report.run(wide)
    browser.show(chromium, f"file://{tmp_path}/store/{layout.report(wide.run)}", width=390, height=844)
    assert chromium.execute_script("return document.documentElement.scrollWidth") == 390


def test_first_screen_says_what_was_seen_and_what_did_not_work(job):
    first = text(html(job)).split(" Accuracy ")[0]
    assert "were trained on 50,000 real photos of the same dataset (Fashion-MNIST)" in first
    assert "Synthetic images raised accuracy in" in first
    assert "What did not work" in first and "auxbn-1x is below naive-1x on" in first
    assert "The sense of bag was chosen by a small margin" in first
    assert "40 real images of 10 classes were joined by 80 synthetic images" in first


def test_classes_that_the_embedded_models_do_not_know_are_said(job):
    cranes = [ClassEntry(id="crane", names=["crane"]), *job.plan.classes[1:]]
    data = gather(job.store, job.run, job.config, job.plan)
    known = " ".join(narrative.seen_before(data))
    unknown = " ".join(narrative.seen_before(replace(data, plan=job.plan.model_copy(update={"classes": cranes}))))
    assert "same dataset" in known and "know nothing else" not in known
    assert "know nothing else" in unknown and "same dataset" not in unknown


def test_page_is_one_file_without_references_and_the_same_again(job):
    first = html(job)
    assert html(job) == first
    references = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)|@import""", first)
    assert all((a or b).startswith(("data:", "#")) for a, b in references)
    assert "<script" not in first and len(first) < 3_000_000


def test_what_the_images_are_like_is_shown_where_it_was_measured(job, tmp_path):
    said = text(html(job)).split("What the images are like ")[1].split("What it was tested on")[0]
    assert "synthetic, plain 80.0 80" in said and "real, test 81.2 40" in said
    left_out = "Left out, too few images: t-s"
    assert f"In classifier features against train at 2x: 20 / 180 images of each set, 5 neighbours. {left_out}" in said
    assert said.count("other real images 0.75 / 0.75 0.50 / 0.50 1.25 / 1.25 0.38 / 0.38") == 2
    assert "before it changed" not in said
    store = open_store(str(tmp_path / "store"), create=True)
    for key in job.store.list(""):
        store.put(key, job.store.get(key))
    store.put(layout.index(job.run), job.store.get(layout.index(job.run)) + b"\n")
    store.delete(layout.diagnostics(job.run, "coverage"))
    changed = text(html(replace(job, store=store)))
    assert "as it was before it changed; synaug diagnose computes it again" in changed and "neighbours" not in changed
    assert "Main against auxiliary batch norms" in changed


def test_prompts_are_escaped(job):
    page = html(job)
    assert "in a &lt;field&gt; &amp; more" in page and "<field>" not in page


def test_another_generator_is_said_to_be_unknown(job):
    images = job.config.images.model_copy(update={"profile": "sd15"})
    page = text(html(replace(job, config=job.config.model_copy(update={"images": images}))))
    assert (
        "may have seen these classes, this dataset, or its test images" in page
        and "Fashion-MNIST" not in page.split(" Accuracy ")[0]
    )


@pytest.mark.parametrize("written", ["plan only", "set only", "one seed", "real only"])
def test_a_part_of_a_run_is_reported_as_such(tmp_path, written):
    store = open_store(str(tmp_path / "store"), create=True)
    one = small_run.job(store, small_run.config())
    small_run.write_plan(one)
    if written != "plan only":
        small_run.write_splits(store)
        small_run.write_set(one)
    if written == "one seed":
        small_run.write_results(one, seeds=[0])
    if written == "real only":
        small_run.write_results(small_run.job(store, small_run.config(arms={"real": {"kind": "real"}})))
    said = text(html(one))
    expected = {"one seed": "Too few training seeds to show anything yet"}.get(written, "Nothing to compare yet")
    assert expected in said
    assert "not evaluated yet" in said and "What the images are like" not in said
    assert ("Real beside synthetic" in said) == (written != "plan only")


def test_an_arm_beyond_the_runs_scale_waits_and_is_not_missed(job):
    config = small_run.config(
        arms={"naive-1x": {"kind": "naive", "scale": "1x"}, "naive-9x": {"kind": "naive", "scale": "9x"}}
    )
    said = text(html(replace(job, config=config)))
    assert "naive-9x waits for a larger scale" in said and "not evaluated yet" not in said


def test_a_second_run_is_joined_with_its_difference(job):
    other = small_run.job(
        job.store, small_run.config(arms={"naive-1x": {"kind": "naive", "scale": "1x"}}), run="senses-off"
    )
    small_run.write_plan(other)
    small_run.write_results(other, seed=5)
    joined = text(html(replace(job, join=("senses-off",)))).split("Beside other runs")[1].split("Real beside")[0]
    mine, theirs = (
        statistics.mean(
            json.loads(job.store.get(layout.evaluation(run, "naive-1x", seed)))["tests"]["test"]["top1"]
            for seed in (0, 1, 2)
        )
        for run in (job.run, "senses-off")
    )
    assert f"{100 * theirs:.1f}" in joined and f"{100 * (theirs - mine):+.1f}".replace("-", "−") in joined
    with pytest.raises(DataError, match="'gone' is not planned"):
        report.run(replace(job, join=("gone",)))


def test_what_was_measured_of_another_test_set_or_training_is_no_result(tmp_path):
    store = open_store(str(tmp_path / "store"), create=True)
    one = small_run.write_all(store)
    other = small_run.job(store, one.config, run="other")
    small_run.write_plan(other)
    small_run.write_results(other, seed=5)
    joined = replace(one, join=("other",))

    def mean(run: str, test: str) -> str:
        keys = [layout.evaluation(run, "naive-1x", seed) for seed in one.config.seeds]
        return f"{100 * statistics.mean(json.loads(store.get(key))['tests'][test]['top1'] for key in keys):.1f}"

    before = text(html(joined))
    assert all(mean(run, "contexts") in before for run in (one.run, "other"))
    assert "Nothing is measured on" not in before
    assert "not evaluated yet" not in before

    split = layout.real_split("ood-contexts")
    store.put(split, store.get(split) + b"\n")  # imported again
    table = text(html(joined))
    assert "Nothing is measured on contexts yet" in table and "not evaluated yet" not in table
    data = gather(store, one.run, one.config, one.plan, join=("other",))
    assert data.results.tests == data.joined["other"].tests == ["test", "sketch"]
    assert all(mean(run, "test") in table for run in (one.run, "other"))

    done = layout.training(one.run, "naive-1x", 0, "done.json")
    store.put(done, store.get(done) + b"\n")  # trained again
    assert "1 training of 18 not evaluated yet" in text(html(joined))
    assert ("naive-1x", 0) not in gather(store, one.run, one.config, one.plan).results.evaluations


def test_unequal_real_counts_are_told_by_many_medium_and_few(job):
    assert 'id="shots"' not in html(job)
    counts = dict(zip(job.plan.real_counts, (50, 32, 21, 13, 9, 6, 4, 2, 1, 1), strict=True))
    page = text(html(replace(job, plan=job.plan.model_copy(update={"real_counts": counts}))))
    assert "many 3 classes, 21 to 50" in page and "few 3 classes, 1 to 2" in page
    assert "Groups are thirds of the classes by their number of real images" in page


def test_the_report_tells_the_split_of_a_batch_and_where_auxbn_paid(tmp_path):
    def page(name, **changes):
        store = open_store(str(tmp_path / name), create=True)
        one = small_run.job(store, small_run.config(**changes))
        small_run.write_splits(store)
        means = {
            "real": (0.8, 0.1, 0.3),
            "naive-1x": (0.8, 0.4, 0.4),
            "auxbn-1x": (0.9, 0.4, 0.4),
            "auxbn-q": (0.5, 0.1, 0.1),
        }
        small_run.write_results(one, means=means)
        return text(html(one))

    arms = small_run.config().model_dump(mode="json")["arms"]
    half = page("half")
    assert (
        "mixed arms take half of each batch from the synthetic images" in half
        and "auxbn-2x is above naive-2x on test" in half
    )
    training = small_run.config().model_dump(mode="json")["training"] | {"synthetic_share": 0.25}
    assert "mixed arms take 25% of each batch from the synthetic images" in page("quarter", training=training)
    own = page("both", arms=arms | {"auxbn-q": {"kind": "auxbn", "scale": "1x", "settings": {"synthetic_share": 0.25}}})
    assert "and auxbn-2x, 25% with auxbn-q are synthetic images" in own and "auxbn-q is below naive-1x" not in own
