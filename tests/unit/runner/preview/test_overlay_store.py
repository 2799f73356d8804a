import pytest

from synaug.data import layout
from synaug.data.store import open_store
from synaug.runner.preview.overlay_store import Overlay


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "store", create=True)
    store.put(layout.prompts("first", "a"), b"frozen")
    store.put("real/train.json", b"real")
    return store


def test_what_is_written_is_read_back_and_the_run_stays_as_it_was(store):
    overlay = Overlay(store, "first")
    overlay.put(layout.prompts("first", "b"), b"tried")
    overlay.put(layout.prompts("first", "a"), b"tried too")
    assert (
        overlay.get(layout.prompts("first", "b")) == b"tried"
        and overlay.get(layout.prompts("first", "a")) == b"tried too"
    )
    assert store.get(layout.prompts("first", "a")) == b"frozen" and not store.exists(layout.prompts("first", "b"))
    assert list(store.list(layout.prompts_folder("first"))) == [layout.prompts("first", "a")]


def test_the_run_and_the_real_images_are_read_through_it(store):
    overlay = Overlay(store, "first")
    assert (
        overlay.get("real/train.json") == b"real"
        and overlay.get(layout.prompts("first", "a"), start=2, length=3) == b"oze"
    )
    assert overlay.exists(layout.prompts("first", "a")) and overlay.size("real/train.json") == 4


def test_a_list_shows_both_once(store):
    overlay = Overlay(store, "first")
    overlay.put(layout.prompts("first", "a"), b"")
    overlay.put(layout.prompts("first", "b"), b"")
    assert list(overlay.list(layout.prompts_folder("first"))) == [
        layout.prompts("first", "a"),
        layout.prompts("first", "b"),
    ]


def test_nothing_outside_the_run_is_written(store):
    with pytest.raises(ValueError, match="real/train"):
        Overlay(store, "first").put("real/train.json", b"")
