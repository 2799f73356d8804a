import gc
import weakref

import pytest
import torch

from synaug.backends import memory
from synaug.errors import DataError, ModelError, UsageError


class Model:
    """Something to hold."""


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch):
    monkeypatch.setattr(memory, "_held", {})


def test_a_model_is_loaded_once_and_another_takes_its_place():
    first = memory.hold("clip", "a", Model)
    assert memory.hold("clip", "a", Model) is first
    gone = weakref.ref(first)
    del first
    memory.hold("clip", "b", lambda: Model() if gone() is None else pytest.fail("two models at once"))


def test_models_that_a_stage_does_not_need_are_let_go():
    gone = {role: weakref.ref(memory.hold(role, "a", Model)) for role in ("llm", "clip", "diffusion")}
    memory.release_models(keep=("clip", "diffusion"))
    gc.collect()
    assert [role for role, model in gone.items() if model() is None] == ["llm"]
    memory.release_models()
    gc.collect()
    assert all(model() is None for model in gone.values())


def test_a_model_that_cannot_be_loaded_leaves_nothing_held():
    def fail():
        raise ModelError("no such model")

    memory.hold("clip", "a", Model)
    with pytest.raises(ModelError):
        memory.hold("clip", "b", fail)
    assert isinstance(memory.hold("clip", "a", Model), Model)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried\nto allocate"),
        MemoryError(),
        RuntimeError("CUDA out of memory"),
    ],
)
def test_out_of_memory_is_one_line_that_names_the_setting(error):
    line = r"^train: out of memory .*; to do with less: batch_size$"
    with pytest.raises(UsageError, match=line), memory.name_what_to_lower("train", "batch_size"):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(DataError, match=r"^a tar$"), memory.name_what_to_lower("train", "batch_size"):
        raise DataError("a tar")
