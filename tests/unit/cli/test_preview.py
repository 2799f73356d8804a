"""Real generator and CLIP; the prompts files are written by the test, for the LLM takes a minute."""

import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from synaug.__main__ import main
from synaug.data import layout
from synaug.data.store import open_store
from synaug.run.job import open_run
from synaug.run.plan import ModelInfo
from synaug.run.rates import known_images_rate
from tests.images_run import NAMES, images_job, put_prompts, write_photos, write_plan


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """(store, arguments): a planned run without prompts files, and the command line that previews it."""
    store = open_store(tmp_path / "store", create=True)
    job = images_job(store, num_inference_steps=2)
    for class_id in NAMES:
        store.delete(layout.prompts("first", class_id))
    job = replace(
        job, config=job.config.model_copy(update={"compute": job.config.compute.model_copy(update={"workers": 1})})
    )
    write_plan(job)  # one process: the test's own
    write_photos(store)

    def prompts(job):
        for class_id in job.plan.class_shards[job.shard]:
            if not job.store.exists(layout.prompts(job.run, class_id)):
                put_prompts(job.store, class_id, chosen="thing that is worn", margin=0.123)

    monkeypatch.setattr("synaug.stages.prompts.run", prompts)
    return store, ["preview", "--store", str(tmp_path / "store"), "--run", "first", "--images", "6"]


def test_shows_real_beside_synthetic_and_measures_the_rate(planned, capsys):
    store, arguments = planned
    assert main(arguments) == 0
    sheet = Image.open(io.BytesIO(store.get(layout.preview("first", "contact-sheet.png"))))
    assert sheet.width > 900 and sheet.height > 600
    timing = json.loads(store.get(layout.timing("first", "preview", "rate")))
    assert (
        timing["rate"] > 0
        and timing["bytes_per_image"] > 500
        and timing["batch_size"] == 8
        and timing["device"].startswith("CPU")
    )
    out = capsys.readouterr().out
    assert 'bag: bag, "thing that is worn", margin 0.123' in out and "images/s" in out and "contact-sheet.png" in out


def test_the_run_is_as_unbegun_as_before(planned):
    store, arguments = planned
    before = {key for key in store.list("runs/")}
    assert main(arguments) == 0
    new = {key for key in store.list("runs/")} - before
    assert all(key.startswith((layout.preview("first", ""), layout.timing("first", "preview", "")[:-5])) for key in new)


def test_a_second_preview_replaces_the_first(planned):
    store, arguments = planned
    assert main([*arguments, "--classes", "bag,boot"]) == 0
    first = set(store.list(layout.preview("first", "")))
    assert main([*arguments, "--classes", "shirt"]) == 0
    second = set(store.list(layout.preview("first", "")))
    assert (
        layout.preview("first", "prompts/bag.json") in first - second
        and layout.preview("first", "prompts/shirt.json") in second
    )


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (
            ["--classes", "bag,crane"],
            "synaug preview: --classes crane: the run has no such class id; its 3 classes begin with boot, bag, shirt",
        ),
        (["--images", "0"], "synaug preview: --images 0: give 1 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(planned, capsys, extra, line):
    store, arguments = planned
    before = {key: store.get(key) for key in store.list("runs/")}
    assert main([*arguments, *extra]) == 2
    assert capsys.readouterr().err.strip() == line
    assert {
        key: store.get(key) for key in store.list("runs/") if key != layout.log("first", "preview", "all")
    } == before


def test_a_begun_run_is_previewed_with_images_of_the_preview_s_own(planned):
    store, arguments = planned
    part = layout.synthetic_manifest("first", 1, 0, 0)
    store.put(part, b"of the run")
    assert main(arguments) == 0
    assert store.get(part) == b"of the run" and store.exists(layout.preview("first", "synthetic/x1/000-0000.json"))


def test_the_rate_is_of_these_settings_this_model_and_this_pool_only(planned):
    store, arguments = planned
    assert main([*arguments, "compute.pool=a100"]) == 0
    config, plan = open_run(store, "first")
    on_a100 = plan.model_copy(update={"pool": "a100"})
    assert known_images_rate(store, "first", config, on_a100).images_per_second > 0
    other = config.model_copy(update={"images": config.images.model_copy(update={"num_inference_steps": 50})})
    newer = on_a100.model_copy(update={"models": [ModelInfo(role="diffusion", name="m", revision="2", license="MIT")]})
    for settings, its_plan in ((other, on_a100), (config, plan), (config, newer)):
        rate = known_images_rate(store, "first", settings, its_plan)
        assert rate.images_per_second is None and "preview was of other" in rate.source
