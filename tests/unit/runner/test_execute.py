"""A stage command: the models of another stage are let go, and running out of memory is one line."""

import pytest
import torch

from synaug.backends import memory
from synaug.errors import UsageError
from synaug.run.stages import STAGES, Task
from synaug.runner.execute import execute
from synaug.stages import plan as planning
from tests.planned import INFO, make_plan, put_real

TASKS = {
    "prompts": Task(stage="prompts", shard=0),
    "images": Task(stage="images", shard=0),
    "train": Task(stage="train", arm="real", seed=0),
    "evaluate": Task(stage="evaluate", arm="real", seed=0),
}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    from synaug.data.store import open_store

    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    store = open_store(str(tmp_path / "store"), create=True)
    put_real(store)
    make_plan(store)
    return store


@pytest.mark.parametrize("stage", TASKS)
def test_out_of_memory_in_any_stage_names_what_to_lower(planned, monkeypatch, stage):
    def run(job):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(f"synaug.stages.{stage}.run", run)
    with pytest.raises(UsageError, match=rf"^{stage}: out of memory \(CUDA .*{STAGES[stage].needs_less[:20]}"):
        execute(TASKS[stage], planned.url, "first", [], print)


@pytest.mark.parametrize(
    ("stage", "left"), [("prompts", ["clip", "llm"]), ("images", ["clip", "diffusion"]), ("train", [])]
)
def test_a_stage_finds_only_its_own_models_in_the_process(planned, monkeypatch, stage, left):
    monkeypatch.setattr(memory, "_held", {})
    for role in ("llm", "clip", "diffusion"):
        memory.hold(role, "a", object)
    held: list[str] = []
    monkeypatch.setattr(f"synaug.stages.{stage}.run", lambda job: held.extend(memory._held))
    execute(TASKS[stage], planned.url, "first", [], print)
    assert sorted(held) == left
