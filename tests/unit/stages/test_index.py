import json
from collections import Counter
from dataclasses import replace

import pytest
import yaml

from synaug.config.run import IndexSettings as IndexSettings
from synaug.data import layout
from synaug.data.index import Index
from synaug.data.manifest import Manifest
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.stages import index
from tests.made_run import COUNTS, made_job, make_images, planned, with_scale


def result(job):
    return Index.model_validate_json(job.store.get(layout.index(job.run)))


def written(job):
    return {key: job.store.get(key) for key in (layout.index(job.run), layout.card(job.run), layout.timm_info(job.run))}


def with_filter(job, least):
    return replace(job, config=job.config.model_copy(update={"index": IndexSettings(min_clip_score=least)}))


def test_a_complete_set_is_indexed_and_its_images_counted(store, tmp_path):
    job = made_job(store)
    manifests = make_images(job, tmp_path)
    index.run(job)
    found = result(job)
    assert [part.manifest for part in found.parts] == manifests
    assert (found.scale, found.digest, found.lost, found.model) == (2, "d1", [], ["painter@r1"])
    for multiple in ("x1", "x2"):
        assert {class_id: sum(kinds.values()) for class_id, kinds in found.images[multiple].items()} == COUNTS
    assert found.images["x1"]["owl"] == {"plain": 3, "cd": 2, "sd": 2}


def test_indexing_again_or_elsewhere_gives_the_same_bytes(store, tmp_path):
    job, other = made_job(store), made_job(open_store(tmp_path / "other", create=True))
    for each in (job, other):
        make_images(each, tmp_path)
        index.run(each)
    first = written(job)
    index.run(job)
    assert written(job) == first
    assert written(other) == first


def test_missing_parts_are_named_with_the_command_that_makes_them(store, tmp_path):
    job = made_job(store)
    manifests = make_images(job, tmp_path)
    shard_of_gap = [key for key in manifests if "/001-" in key]
    for key in shard_of_gap[1:]:
        store.delete(key)
    with pytest.raises(DataError) as caught:
        index.run(job)
    line = str(caught.value)
    assert f"{len(shard_of_gap) - 1} of {len(manifests)} parts are missing: shard 1 lacks x1/001-0001" in line
    assert f"run `python -m synaug images --store {store.url} --run made --shard 1`" in line
    assert "shard 0" not in line and "\n" not in line
    assert not store.exists(layout.index("made"))
    store.delete(manifests[0])
    with pytest.raises(DataError, match=r"--shard 0`, and the same with --shard 1$"):
        index.run(job)


@pytest.mark.parametrize("damage", ["gone", "shorter", "other bytes"])
def test_a_tar_that_is_gone_or_damaged_is_refused_with_what_to_do(store, tmp_path, damage):
    job = made_job(store)
    manifest = Manifest.model_validate_json(store.get(make_images(job, tmp_path)[1]))
    data = store.get(manifest.tar)
    if damage == "gone":
        store.delete(manifest.tar)
    else:
        store.put(manifest.tar, data[:-1] if damage == "shorter" else data[:-1] + b"x")
    wanted = {"gone": "is gone", "shorter": "has .* bytes, its manifest says", "other bytes": "has another checksum"}[
        damage
    ]
    key = manifest.tar.removesuffix("tar") + "json"
    remake = rf"delete {store.url}/{key} and its tar, and run `python -m synaug images .* --shard 0`"
    with pytest.raises(DataError, match=rf"{manifest.tar} {wanted}.*{remake}"):
        index.run(job)
    assert not store.exists(layout.index(job.run))


def test_a_tar_is_read_in_full_once_and_its_presence_and_size_checked_each_time(store, tmp_path, monkeypatch):
    job = made_job(store)
    make_images(job, tmp_path)
    index.run(job)
    read = []
    original = type(store).get

    def get(self, key, **where):
        read.append(key)
        return original(self, key, **where)

    monkeypatch.setattr(type(store), "get", get)
    index.run(job)
    assert not [key for key in read if key.endswith(".tar")]
    job = with_scale(job, 3)
    make_images(job, tmp_path)
    index.run(job)
    assert {key.split("/")[3] for key in read if key.endswith(".tar")} == {"x3"}
    store.delete(result(job).parts[0].tar)
    with pytest.raises(DataError, match="is gone"):
        index.run(job)


def test_a_part_that_holds_another_selection_is_refused(store, tmp_path):
    job = made_job(store)
    key = make_images(job, tmp_path)[0]
    manifest = json.loads(store.get(key))
    kept = manifest["key"][0]
    manifest["key"][0] = "owl-0000999"
    store.put(key, json.dumps(manifest).encode())
    with pytest.raises(DataError, match=rf"000-0000\.json lacks {kept}; delete"):
        index.run(job)


def test_what_was_rejected_and_lost_is_counted_and_listed(store, tmp_path):
    job = made_job(store)
    make_images(job, tmp_path, lost=("owl-0000003", "n02012849-0000011"))
    index.run(job)
    found = result(job)
    assert found.lost == ["n02012849-0000011", "owl-0000003"]
    assert found.rejects == {"black": 6}
    assert sum(part.images for part in found.parts) == 2 * sum(COUNTS.values()) - 2
    assert "owl-0000003" in store.get(layout.card(job.run)).decode()


def test_the_filter_is_a_choice_that_makes_nothing_again(store, tmp_path):
    job = made_job(store)
    make_images(job, tmp_path)
    index.run(job)
    before = {key: store.get(key) for key in store.list(layout.synthetic_folder(job.run))}
    index.run(with_filter(job, 0.2))
    found = result(job)
    assert {key: store.get(key) for key in store.list(layout.synthetic_folder(job.run))} == before
    expected = Counter(class_id for part in planned(job) for class_id, i in part.images if 0.1 + i % 10 / 50 < 0.2)
    assert {class_id: sum(kinds.values()) for class_id, kinds in found.left_out.items()} == expected
    kept = sum(sum(kinds.values()) for classes in found.images.values() for kinds in classes.values())
    assert kept == sum(part.kept for part in found.parts) == 2 * sum(COUNTS.values()) - expected.total()
    assert f"Left out for a CLIP score below 0.2: {expected.total()}" in store.get(layout.card(job.run)).decode()


def test_the_mix_of_edited_prompts_files_is_listed(store, tmp_path):
    job = made_job(store)
    make_images(job, tmp_path, edited=(2,))
    index.run(job)
    assert result(job).prompts == {class_id: {"first": count, "edited": count} for class_id, count in COUNTS.items()}
    assert "3 of them with more than one" in store.get(layout.card(job.run)).decode()


def test_the_card_is_tagged_synthetic_and_names_models_licences_and_counts(store, tmp_path):
    job = made_job(store)
    make_images(job, tmp_path)
    index.run(job)
    text = store.get(layout.card(job.run)).decode()
    _, front, body = text.split("---\n", 2)
    front = yaml.safe_load(front)
    assert "synthetic" in front["tags"]
    assert front["license_name"] == "MIT"
    assert "| diffusion | painter | `r1` | MIT |" in body
    assert "| llm | poet | `r2` | Apache-2.0 |" in body
    assert "| 0 | `n02012849` | crane | 10 | 20 |" in body
    assert "| 1 | `n03126707` | crane | 10 | 20 |" in body


def samples_of(job):
    return Counter((class_id, i) for part in planned(job) for class_id, i in part.images)


def test_timm_reads_the_set_by_its_own_reader(tmp_path):
    from timm.data import create_dataset

    job = made_job(open_store(tmp_path / "store", create=True))
    make_images(job, tmp_path)
    index.run(job)
    root = str(tmp_path / "store" / layout.run_folder(job.run))
    for split, scale in (("x1", 1), ("x2", 1), ("train", 2)):
        data_set = create_dataset("wds/", root=root, split=split, is_training=False)
        labels = Counter(label for _, label in data_set)
        assert len(data_set) == sum(COUNTS.values()) * scale
        assert labels == {label: scale * count for label, count in enumerate(COUNTS.values())}
    image, _ = next(iter(create_dataset("wds/", root=root, split="x1", is_training=True)))
    assert image.size == (16, 16)


def test_webdataset_reads_the_set_by_its_own_loader(tmp_path):
    import webdataset

    job = made_job(open_store(tmp_path / "store", create=True))
    make_images(job, tmp_path)
    index.run(job)
    urls = [str(tmp_path / "store" / part.tar) for part in result(job).parts]
    samples = list(
        webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("__key__", "cls", "json", "jpg")
    )
    assert {key for key, *_ in samples} == {f"{class_id}-{i:07d}" for class_id, i in samples_of(job)}
    assert all(job.plan.labels[key.rpartition("-")[0]] == label for key, label, *_ in samples)
