import io
import json
import re
import tarfile
from dataclasses import replace

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save

from synaug.data import layout
from synaug.data.split_writer import Sample, pack
from synaug.data.store import open_store
from synaug.embedded.datasets import classes, jpeg, pictures
from synaug.errors import DataError, UsageError
from synaug.run.completion import Completion, Count
from synaug.run.results import Evaluation
from synaug.run.stages import Task
from synaug.stages import evaluate, report
from synaug.training.augmentation import evaluation_transform as transform_of
from tests import small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with test sets and one arm whose model has random weights; and that model."""
    store = open_store(str(tmp_path_factory.mktemp("store")))
    job = replace(small_run.job(store, small_run.config()), arm="naive-1x", seed=1)
    small_run.write_splits(store)
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=10)
    frozen = {"arm": "naive-1x", "kind": "naive", "scale": 1, "settings": job.config.training.model_dump(mode="json")}
    for name, data in {
        "settings.json": json.dumps(frozen).encode(),
        "model.safetensors": save(model.state_dict()),
        "done.json": b"{}",
    }.items():
        store.put(layout.training(job.run, job.arm, job.seed, name), data)
    return job, model.eval()


def by_hand(store, split, model, settings):
    """Right answers and images by label, from the tars as any tool reads them."""
    transform, right, images = transform_of(settings), [0] * 10, [0] * 10
    with tarfile.open(fileobj=io.BytesIO(store.get(layout.real_tar(split, 0)))) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    for name, data in files.items():
        if name.endswith(".jpg"):
            label = int(files[name.replace(".jpg", ".cls")])
            with torch.inference_mode():
                answer = model(transform(Image.open(io.BytesIO(data)))[None]).argmax().item()
            right[label] += answer == label
            images[label] += 1
    return right, images


def test_accuracies_are_those_of_the_exported_model_image_by_image(trained):
    job, model = trained
    evaluate.run(job)
    found = Evaluation.model_validate_json(job.store.get(layout.evaluation(job.run, job.arm, job.seed)))
    assert (found.arm, found.seed, found.kind, found.scale, found.model) == ("naive-1x", 1, "naive", 1, "resnet10t")
    assert list(found.tests) == ["test", "contexts", "sketch"]
    ids = [entry.id for entry in job.plan.classes]
    for name, result in found.tests.items():
        right, images = by_hand(job.store, job.config.tests[name].split, model, job.config.training)
        assert result.per_class == {class_id: r / n for class_id, r, n in zip(ids, right, images, strict=True)}
        assert result.top1 == sum(right) / sum(images)
        assert result.n == 40 and result.top1 <= result.top5 <= 1
    timing = json.loads(job.store.get(layout.timing(job.run, "evaluate", "naive-1x-1")))
    assert timing["images"] == 120 and timing["rate"] > 0


def test_a_later_test_set_is_measured_alone_and_nothing_twice(trained):
    job, _ = trained
    few = job.config.model_copy(update={"tests": {"test": job.config.tests["test"]}})
    key = layout.evaluation(job.run, job.arm, job.seed)
    job.store.delete(key)
    evaluate.run(replace(job, config=few))
    assert list(json.loads(job.store.get(key))["tests"]) == ["test"]
    seen = []
    evaluate.run(replace(job, report=seen.append))
    assert {progress.detail["test"] for progress in seen} == {"contexts", "sketch"}
    assert list(json.loads(job.store.get(key))["tests"]) == ["test", "contexts", "sketch"]
    evaluate.run(replace(job, report=lambda progress: pytest.fail("measured again")))


def test_another_training_is_measured_anew(trained):
    job, _ = trained
    evaluate.run(job)
    job.store.put(layout.training(job.run, job.arm, job.seed, "done.json"), b'{"steps": 1}')
    seen = []
    evaluate.run(replace(job, report=seen.append))
    assert {progress.detail["test"] for progress in seen} == {"test", "contexts", "sketch"}


def test_results_of_a_run_come_in_the_order_of_its_configuration(trained):
    job, _ = trained
    evaluate.run(job)
    config = job.config.model_copy(update={"tests": {name: job.config.tests[name] for name in ("sketch", "test")}})
    found = Completion(job.store, job.run, config, job.plan).results()
    assert (found.arms, found.tests) == (["naive-1x"], ["sketch", "test"])


def test_what_is_missing_is_named(trained):
    job, _ = trained
    with pytest.raises(DataError, match="arm naive-2x, seed 0 is not trained"):
        evaluate.run(replace(job, arm="naive-2x", seed=0))
    with pytest.raises(UsageError, match="--arm and --seed"):
        evaluate.run(replace(job, arm=None))
    test = job.config.tests["test"].model_copy(update={"split": "gone"})
    with pytest.raises(DataError, match="'gone' is not in"):
        evaluate.run(replace(job, config=job.config.model_copy(update={"tests": {"test": test}})))


def test_a_test_set_of_another_domain_is_measured_again(trained):
    job, _ = trained
    evaluate.run(job)
    tests = job.config.tests | {"sketch": job.config.tests["sketch"].model_copy(update={"domain": "in"})}
    evaluate.run(replace(job, config=job.config.model_copy(update={"tests": tests})))
    written = Evaluation.model_validate_json(job.store.get(layout.evaluation(job.run, job.arm, job.seed)))
    assert written.tests["sketch"].domain == "in"


def test_a_test_set_imported_again_under_its_name_is_measured_and_reported_anew(trained):
    job, model = trained
    done = {"kind": "naive", "steps": 1, "seconds": 1.0, "images_per_second": 1.0, "images": {}, "passes": {}}
    job.store.put(layout.training(job.run, job.arm, job.seed, "done.json"), json.dumps(done).encode())
    evaluate.run(job)
    before = Completion(job.store, job.run, job.config, job.plan).results().evaluations["naive-1x", 1].tests
    for key in [key for key in job.store.list("real/") if key.startswith(("real/ood-sketch-", "real/ood-sketch."))]:
        job.store.delete(key)
    images, labels, keys = pictures("train")
    rows = [n for n, label in enumerate(labels) if label < 5][:60]
    samples = [Sample(keys[row], int(labels[row]), jpeg(images[row])) for row in rows]
    pack(job.store, "ood-sketch", samples, classes=[entry.id for entry in classes()])

    task = Task(stage="evaluate", arm="naive-1x", seed=1)
    assert Completion(job.store, job.run, job.config, job.plan).count(task) == Count(0, 1)
    seen = []
    evaluate.run(replace(job, report=seen.append))
    assert {progress.detail["test"] for progress in seen} == {"sketch"}
    assert Completion(job.store, job.run, job.config, job.plan).count(task) == Count(1, 1)
    after = Completion(job.store, job.run, job.config, job.plan).results().evaluations["naive-1x", 1].tests
    right, shown = by_hand(job.store, "ood-sketch", model, job.config.training)
    assert after["sketch"].n == sum(shown) == 60 and after["sketch"].top1 == sum(right) / sum(shown)
    assert after["sketch"] != before["sketch"] and after["test"] == before["test"]
    small_run.write_plan(job)
    report.run(job)
    page = job.store.get(layout.report(job.run)).decode()
    assert re.search(rf"sketch.*{100 * after['sketch'].top1:.1f}", page, re.DOTALL)


def test_a_test_set_that_is_gone_from_the_store_is_left_refused_and_not_shown(trained):
    job, _ = trained
    evaluate.run(job)
    key, task = layout.real_split("ood-contexts"), Task(stage="evaluate", arm="naive-1x", seed=1)
    settings = layout.training(job.run, job.arm, job.seed, "settings.json")
    split, written, frozen = (
        job.store.get(name) for name in (key, layout.evaluation(job.run, job.arm, job.seed), settings)
    )
    job.store.delete(key)
    try:
        completion = Completion(job.store, job.run, job.config, job.plan)
        assert completion.count(task) == Count(0, 1)
        assert completion.results().tests == ["test", "sketch"]
        job.store.delete(settings)  # the split is looked for first
        with pytest.raises(
            DataError, match=r"test split 'ood-contexts' is not in .*`synaug import` it, or take it out"
        ):
            evaluate.run(job)
        assert job.store.get(layout.evaluation(job.run, job.arm, job.seed)) == written
    finally:
        job.store.put(key, split)
        job.store.put(settings, frozen)
    assert Completion(job.store, job.run, job.config, job.plan).count(task) == Count(1, 1)
