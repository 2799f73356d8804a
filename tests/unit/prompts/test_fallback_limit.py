from dataclasses import replace

import pytest

from synaug.config.prompts import Prompts
from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.prompts.fallback_limit import find_fallen_classes, refuse_fallbacks
from synaug.stages import images, index, prompts
from tests.images_run import images_job, put_prompts


@pytest.fixture
def fallen(tmp_path):
    """Three classes, of which one fell back; at most a quarter may."""
    job = images_job(open_store(tmp_path / "store", create=True))
    put_prompts(job.store, "bag", fallback=["no sense fits the real images"])
    return replace(job, config=job.config.model_copy(update={"prompts": Prompts(max_fallback=0.25)}))


def test_what_fell_back_is_read_from_the_files_as_they_are_now(fallen):
    assert find_fallen_classes(fallen) == ["bag"]
    fallen.store.delete(layout.prompts(fallen.run, "boot"))
    assert find_fallen_classes(fallen) == ["bag"]
    put_prompts(fallen.store, "bag")
    assert find_fallen_classes(fallen) == []


@pytest.mark.parametrize("stage", [prompts, images], ids=["prompts", "images"])
def test_above_the_limit_a_stage_stops_before_a_model_is_opened_and_again_when_called_again(fallen, stage, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("a model was opened")

    monkeypatch.setattr("synaug.backends.diffusion.open_diffusion", refuse)
    monkeypatch.setattr("synaug.backends.llm.open_llm", refuse)
    for _ in range(2):
        with pytest.raises(
            DataError,
            match=r"1 of 3 classes fell back to the plain name \(bag\), prompts\.max_fallback allows 0\.25 .*",
        ):
            stage.run(fallen)
    assert not list(fallen.store.list(layout.synthetic_folder(fallen.run)))


def test_no_set_is_published_above_the_limit(fallen):
    with pytest.raises(DataError, match="1 of 3 classes fell back"):
        index.run(fallen)
    assert not fallen.store.exists(layout.index(fallen.run))


def test_at_the_limit_and_after_an_edit_it_goes_on(fallen):
    refuse_fallbacks(replace(fallen, config=fallen.config.model_copy(update={"prompts": Prompts(max_fallback=1 / 3)})))
    put_prompts(fallen.store, "bag")
    refuse_fallbacks(fallen)


def test_a_file_that_does_not_parse_is_named(fallen):
    fallen.store.put(layout.prompts(fallen.run, "shirt"), b"{")
    with pytest.raises(DataError, match=r"prompts/shirt\.json .*line 1"):
        refuse_fallbacks(fallen)
