from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from synaug.embedded import language_model


@pytest.fixture
def conversions(tmp_path, monkeypatch):
    """An empty cache, and a conversion that writes one file; what it was called with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls, never = [], Event()

    def convert(work):
        calls.append(work)
        never.wait(0.2)  # time for the others to come
        work.mkdir()
        (work / "model").write_text("whole")

    monkeypatch.setattr(language_model, "_convert", convert)
    return calls


def test_of_several_workers_one_converts_and_all_get_the_whole_model(conversions):
    with ThreadPoolExecutor(4) as workers:
        folders = list(workers.map(lambda _: language_model.folder(), range(4)))
    assert len(conversions) == 1 and set(folders) == {language_model.cache_folder()}
    assert (folders[0] / "model").read_text() == "whole"


def test_what_a_killed_process_left_is_cleared_away(conversions):
    part = language_model.cache_folder().with_name(f"{language_model.cache_folder().name}.part")
    part.mkdir(parents=True)
    (part / "half").write_text("half")
    assert sorted(path.name for path in language_model.folder().iterdir()) == ["model"]
    assert not part.exists()


def test_a_cache_that_cannot_be_written_is_done_without(conversions, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(language_model, "_process_folder", lambda: tmp_path / "own")
    assert language_model.folder() == tmp_path / "own"


def test_a_folder_that_an_image_brings_is_used_though_nothing_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    brought = tmp_path / language_model.cache_folder().name
    brought.mkdir()
    monkeypatch.setenv("SYNAUG_CACHE", str(tmp_path))
    assert language_model.folder() == brought
