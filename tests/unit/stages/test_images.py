import dataclasses
import json

import pytest
import torch

from synaug.data import layout
from synaug.data.index import Index
from synaug.data.manifest import Manifest
from synaug.data.store import open_store
from synaug.errors import DataError, ModelError, UsageError
from synaug.run import outputs
from synaug.run.plan import ModelInfo
from synaug.stages import images, index
from tests.images_run import images_job, put_prompts


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)  # the stage sets its own


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with 1x of a small run, made by the embedded models, and what was reported."""
    store, reported = open_store(tmp_path_factory.mktemp("images") / "store", create=True), []
    job = images_job(store, images=8, part_images=12, num_inference_steps=2)
    images.run(dataclasses.replace(job, report=reported.append))
    return job, reported


def keys(store):
    return list(store.list(layout.synthetic_folder("first")))


def refuse(*arguments, **settings):
    raise AssertionError("a model was opened")


def test_every_planned_image_is_in_a_part(finished):
    job, _ = finished
    manifests = [Manifest.model_validate_json(job.store.get(key)) for key in keys(job.store) if key.endswith(".json")]
    made = sorted(key for manifest in manifests for key in manifest.key + manifest.lost)
    assert made == sorted(f"{class_id}-{index:07d}" for class_id in job.plan.real_counts for index in range(8))
    assert all(manifest.batch_size == 8 and manifest.threads == 1 for manifest in manifests)


def test_progress_ends_at_the_total_and_timing_tells_the_phases(finished):
    job, reported = finished
    assert [progress.done for progress in reported] == sorted(progress.done for progress in reported)
    assert (reported[-1].done, reported[-1].total, reported[-1].unit) == (24, 24, "image")
    timing = json.loads(job.store.get(layout.timing("first", "images", "000")))
    assert set(timing["phases"]) == {"text", "denoise", "decode", "copy", "checks", "encode", "clip", "upload", "wait"}
    assert timing["images"] == 24 and timing["rate"] > 0


def test_a_second_call_makes_nothing(finished, monkeypatch):
    job, _ = finished
    before = keys(job.store)
    monkeypatch.setattr("synaug.backends.diffusion.open_diffusion", refuse)
    reported = []
    images.run(dataclasses.replace(job, report=reported.append))
    assert keys(job.store) == before and [progress.done for progress in reported] == [24]


def test_growing_the_scale_adds_only_the_next_multiple(finished, tmp_path):
    job, _ = finished
    store = open_store(tmp_path / "copy", create=True)
    for key in job.store.list("runs/"):
        store.put(key, job.store.get(key))
    before = {key: store.get(key) for key in keys(store)}
    images.run(dataclasses.replace(job, store=store, plan=job.plan.model_copy(update={"scale": 2})))
    new = [key for key in keys(store) if key not in before]
    assert new and all(key.startswith(layout.synthetic_folder("first", 2)) for key in new)
    assert all(store.get(key) == data for key, data in before.items())


def test_an_edited_prompts_file_changes_only_the_missing_part(finished, tmp_path):
    job, _ = finished
    store = open_store(tmp_path / "copy", create=True)
    for key in job.store.list("runs/"):
        store.put(key, job.store.get(key))
    gone, kept = layout.synthetic_manifest("first", 1, 0, 1), layout.synthetic_manifest("first", 1, 0, 0)
    store.delete(gone)
    put_prompts(store, "bag", plain=["a product photo of a bag"])
    images.run(dataclasses.replace(job, store=store))
    old, new = (Manifest.model_validate_json(place.get(gone)) for place in (job.store, store))
    assert (
        old.prompts_sha256["bag"] != new.prompts_sha256["bag"]
        and old.prompts_sha256["boot"] == new.prompts_sha256["boot"]
    )
    assert store.get(kept) == job.store.get(kept)


def test_other_weights_than_planned_are_refused(finished):
    job, _ = finished
    models = [ModelInfo(role="diffusion", name="embedded", revision="sha256:0123", license="Apache-2.0")]
    plan = job.plan.model_copy(update={"models": models, "scale": 2})
    before = keys(job.store)
    with pytest.raises(ModelError, match=r"planned with sha256:0123"):
        images.run(dataclasses.replace(job, plan=plan))
    assert keys(job.store) == before


def test_a_gpu_that_is_not_there_is_refused(finished, tmp_path):
    job = images_job(open_store(tmp_path / "store", create=True))
    config = job.config.model_copy(update={"compute": job.config.compute.model_copy(update={"device": "cuda:99"})})
    with pytest.raises(UsageError, match="cuda:99"):
        images.run(dataclasses.replace(job, config=config))
    assert keys(job.store) == []


def test_a_missing_prompts_file_is_said_before_a_model_is_loaded(tmp_path, monkeypatch):
    job = images_job(open_store(tmp_path / "store", create=True))
    job.store.delete(layout.prompts("first", "bag"))
    monkeypatch.setattr("synaug.backends.diffusion.open_diffusion", refuse)
    with pytest.raises(
        DataError, match=r"1 of 3 classes have no prompts file, like bag; do `synaug prompts .* --shard 0` first"
    ):
        images.run(job)


def test_a_part_that_is_made_again_leaves_the_index(finished, tmp_path):
    job = dataclasses.replace(finished[0], store=open_store(tmp_path / "store", create=True))
    for key in finished[0].store.list(""):
        job.store.put(key, finished[0].store.get(key))
    index.run(job)
    parts = [part.manifest for part in read_index(job).parts]
    job.store.delete(parts[0])
    job.store.delete(parts[0].replace(".json", ".tar"))
    images.run(job)
    assert [part.manifest for part in read_index(job).parts] == parts[1:]
    index.run(job)
    assert [part.manifest for part in read_index(job).parts] == parts


def read_index(job) -> Index:
    return Index.model_validate_json(job.store.get(layout.index("first")))


@pytest.mark.parametrize("role", ["diffusion", "clip"])
def test_another_revision_than_planned_is_refused(tmp_path, role):
    job = images_job(open_store(tmp_path / "store", create=True))
    plan = job.plan.model_copy(update={"models": [ModelInfo(role=role, name="m", revision="1", license="MIT")]})
    with pytest.raises(ModelError, match="the run was planned with 1; bring those weights back"):
        images.run(dataclasses.replace(job, plan=plan))


def test_its_summary_tells_of_the_whole_shard(finished, tmp_path, monkeypatch):
    monkeypatch.setenv(outputs.FOLDER, str(tmp_path))
    images.run(finished[0])  # which has nothing to make
    summary = json.loads((tmp_path / "summary").read_text())
    assert (summary["images"], summary["made"], summary["lost"], summary["rejected"]) == (24, 0, 0, {})
