import json
import subprocess
import sys

import pytest
import safetensors.torch
import timm
import torch

from synaug.config import arms
from synaug.data import layout
from synaug.errors import DataError, ModelError, UsageError
from synaug.stages import train as stage
from synaug.training import checkpoint
from synaug.training.checkpoint import TrainingFolder
from synaug.training.trainer import Trainer
from tests.unit.training import helpers


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every line of metrics."""
    monkeypatch.setattr(checkpoint, "FIRST", 0.0)
    monkeypatch.setattr(checkpoint, "LONGEST", 0.0)


def read(store, arm: str, name: str, seed: int = 0) -> bytes:
    return store.get(layout.training("r", arm, seed, name))


def test_an_arm_is_trained_and_published(store, capsys):
    helpers.filled(store)
    reports = []
    stage.run(helpers.job(store, "auxbn", report=reports.append))
    done = json.loads(read(store, "auxbn", "done.json"))
    assert done["passes"] == {"real": 1.5, "synthetic": 1.5} and done["images"] == {"real": 32, "synthetic": 32}
    assert "1.5 passes over real images; 1.5 passes over synthetic images" in capsys.readouterr().out
    assert (
        [r.done for r in reports] == list(range(1, 13))
        and reports[0].total == 12
        and reports[0].task == "train-auxbn-0"
    )
    lines = helpers.metrics(store, "auxbn")
    assert [line["step"] for line in lines] == list(range(1, 13))
    for line in lines:
        assert line["loss"] == pytest.approx((line["loss_real"] + line["loss_synthetic"]) / 2)
    names = {key.rpartition("/")[2] for key in store.list("runs/r/train/auxbn/")}
    assert names == {"settings.json", "metrics.jsonl", "model.safetensors", "aux.safetensors", "done.json"}
    assert store.exists(layout.timing("r", "train", "auxbn-0"))


@pytest.mark.parametrize("arm", helpers.ARMS)
def test_every_arm_exports_plain_timm_weights(disk, arm):
    helpers.train(helpers.job(disk, arm))
    settings = json.loads(read(disk, arm, "settings.json"))["settings"]
    model = timm.create_model(settings["model"], num_classes=helpers.CLASSES, **settings["model_kwargs"])
    model.load_state_dict(safetensors.torch.load(read(disk, arm, "model.safetensors")), strict=True)


def test_only_an_auxbn_arm_leaves_auxiliary_branches_and_they_saw_other_images(disk):
    for arm in ("naive", "auxbn"):
        helpers.train(helpers.job(disk, arm))
    assert not disk.exists(layout.training("r", "naive", 0, "aux.safetensors"))
    main, aux = (safetensors.torch.load(read(disk, "auxbn", f"{name}.safetensors")) for name in ("model", "aux"))
    norms = {key.removesuffix("running_mean") for key in main if key.endswith("running_mean")}
    assert {key for key in main if key.startswith(tuple(norms))} == set(aux)
    assert not torch.equal(aux["bn1.running_mean"], main["bn1.running_mean"])


def test_naive_and_auxbn_see_the_same_images_in_the_same_order(disk, monkeypatch):
    seen = {"naive": [], "auxbn": []}
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, batch, n: seen[self.arm.name].append(batch) or step(self, batch, n)
    )
    for arm in seen:
        helpers.train(helpers.job(disk, arm))
    for a, b in zip(*seen.values(), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)


def test_training_learns(disk):
    settings = helpers.config(steps=60, lr=0.1)
    helpers.train(helpers.job(disk, "naive", settings=settings))
    accuracy = [line["accuracy"] for line in helpers.metrics(disk, "naive")]  # of eight images each
    assert sum(accuracy[-20:]) / 20 > 0.8 > 0.6 > sum(accuracy[:10]) / 10


def test_a_finished_arm_is_left_alone(disk):
    helpers.train(helpers.job(disk, "naive"))
    before = {key: disk.get(key) for key in disk.list("")}
    disk.put(layout.training("r", "naive", 0, "checkpoint.pt"), b"left by a kill right after done.json")
    helpers.train(helpers.job(disk, "naive", report=helpers.killed_at(1)))
    assert {key: disk.get(key) for key in disk.list("")} == before


EVERYTHING = {
    "ema": 0.9,
    "optimizer": "adamw",
    "lr": 0.01,
    "model_kwargs": helpers.MODEL["model_kwargs"] | {"drop_rate": 0.5},
}


@pytest.mark.parametrize("extra", [{}, EVERYTHING])
def test_an_interrupted_training_continues_with_equal_losses(disk, often, extra):
    settings = helpers.config(**extra)
    helpers.train(helpers.job(disk, "auxbn", settings=settings))
    whole, weights = helpers.metrics(disk, "auxbn"), read(disk, "auxbn", "model.safetensors")
    for key in list(disk.list("runs/r/train/")):
        disk.delete(key)
    for step in (3, 4, 9):
        with pytest.raises(helpers.Killed):
            helpers.train(helpers.job(disk, "auxbn", settings=settings, report=helpers.killed_at(step)))
    helpers.train(helpers.job(disk, "auxbn", settings=settings))
    assert helpers.metrics(disk, "auxbn") == whole
    assert read(disk, "auxbn", "model.safetensors") == weights


KILLED = """
import os, signal, sys
from synaug.data.store import open_store
from synaug.training import checkpoint
from tests.unit.training import helpers
checkpoint.FIRST = checkpoint.LONGEST = 0.0
store, step = open_store(sys.argv[1]), int(sys.argv[2])
helpers.train(helpers.job(store, "auxbn", report=lambda p: p.done == step and os.kill(os.getpid(), signal.SIGKILL)))
"""


@pytest.mark.parametrize(
    "step", [7, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11))]
)
def test_a_training_that_was_killed_for_good_continues_with_equal_losses(disk, step):
    result = subprocess.run([sys.executable, "-c", KILLED, disk.url, str(step)], timeout=120)
    assert result.returncode == -9
    assert (
        disk.exists(layout.training("r", "auxbn", 0, "checkpoint.pt")) or step == 1
    )  # killed before the first was written
    helpers.train(helpers.job(disk, "auxbn"))
    continued = helpers.metrics(disk, "auxbn")
    for key in list(disk.list("runs/r/train/")):
        disk.delete(key)
    helpers.train(helpers.job(disk, "auxbn"))
    for line, expected in zip(continued, helpers.metrics(disk, "auxbn"), strict=True):
        assert line == pytest.approx(expected, abs=1e-6)


def begin(store, arm: str = "auxbn", step: int = 4, **more) -> None:
    with pytest.raises(helpers.Killed):
        helpers.train(helpers.job(store, arm, report=helpers.killed_at(step), **more))


def test_the_first_checkpoint_freezes_the_settings_of_all_seeds(disk, often):
    begin(disk)
    changed = helpers.config(lr=0.5)
    for seed in (0, 1):
        with pytest.raises(DataError, match=r"arm auxbn was begun with other settings.*settings\.lr: 0\.05 -> 0\.5"):
            helpers.train(helpers.job(disk, "auxbn", seed=seed, settings=changed))
    helpers.train(helpers.job(disk, "naive", settings=changed))


def test_a_finished_arm_with_other_settings_is_refused(disk):
    helpers.train(helpers.job(disk, "real"))
    with pytest.raises(DataError, match=r"steps: 12 -> 20"):
        helpers.train(helpers.job(disk, "real", settings=helpers.config(steps=20)))


def test_a_done_json_of_other_settings_is_refused_whatever_settings_json_says(disk):
    """By the stage, and by the ranks' own look at it."""
    job = helpers.job(disk, "real")
    helpers.train(job)
    key = layout.training("r", "real", 0, "done.json")
    disk.put(key, json.dumps(json.loads(disk.get(key)) | {"steps": 11}).encode())
    arm = arms.resolve_arm(job.config, "real")
    for look in (lambda: stage.run(job), lambda: helpers.train(job), lambda: TrainingFolder(job, arm).finished()):
        with pytest.raises(DataError, match=r"done\.json\): steps: 11 -> 12; set them back"):
            look()


def test_a_checkpoint_of_another_pool_is_refused(disk, often):
    begin(disk, "oracle")
    helpers.add_split(disk, "more", images=64, seed=2)
    with pytest.raises(DataError, match="written with another synthetic pool"):
        helpers.train(helpers.job(disk, "oracle"))


def test_a_checkpoint_of_another_model_is_refused(disk, often):
    begin(disk, "naive", settings=helpers.config({"naive": {"kind": "naive"}, "real": {"kind": "real"}}))
    begin(disk, "auxbn")
    disk.put(layout.training("r", "auxbn", 0, "checkpoint.pt"), read(disk, "naive", "checkpoint.pt"))
    with pytest.raises(DataError, match=r"checkpoint\.pt is of another model .*; delete it to begin from scratch"):
        helpers.train(helpers.job(disk, "auxbn"))


def test_a_file_that_is_no_checkpoint_is_refused(disk, often):
    begin(disk)
    disk.put(layout.training("r", "auxbn", 0, "checkpoint.pt"), b"not a checkpoint")
    with pytest.raises(DataError, match="is no checkpoint of synaug"):
        helpers.train(helpers.job(disk, "auxbn"))


def test_a_loss_that_is_not_finite_stops_with_advice(disk):
    with pytest.raises(ModelError, match=r"the loss is (nan|inf) by step \d+; lower training\.lr"):
        helpers.train(helpers.job(disk, "real", settings=helpers.config(lr=1e30)))


def test_auxbn_on_a_model_without_batch_norm_is_refused(disk):
    vit = helpers.config(model="test_vit", model_kwargs={"img_size": 16, "patch_size": 4})
    with pytest.raises(UsageError, match="has no batch norm; train it on the plain mix: kind naive"):
        helpers.train(helpers.job(disk, "auxbn", settings=vit))
    helpers.train(helpers.job(disk, "naive", settings=vit))


def test_prompt_kinds_and_pool_images_cut_the_pool(disk):
    arms = {"plain": {"kind": "naive", "scale": "2x", "prompt_kinds": ["plain"], "pool_images": 8}}
    helpers.train(helpers.job(disk, "plain", settings=helpers.config(arms)))
    done = json.loads(read(disk, "plain", "done.json"))
    assert done["images"]["synthetic"] == 8 and done["passes"]["synthetic"] == 6.0


def test_without_an_index_a_mixed_arm_says_what_to_do(disk):
    disk.delete(layout.index("r"))
    with pytest.raises(DataError, match="no index yet"):
        helpers.train(helpers.job(disk, "naive"))
    helpers.train(helpers.job(disk, "real"))


def test_arm_and_seed_are_needed(disk):
    with pytest.raises(UsageError, match="give --arm"):
        stage.run(helpers.job(disk, None))


def test_passes_are_counted_over_the_whole_training(disk):
    helpers.train(helpers.job(disk, "real"))
    assert json.loads(read(disk, "real", "done.json"))["passes"] == {"real": 3.0}


def test_who_watches_sees_metrics_between_checkpoints_and_the_age_of_the_last(disk, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHOWN", 0.0)
    monkeypatch.setattr(checkpoint.TrainingFolder, "is_time", lambda self: self.saved is None and len(checkpoints) == 5)
    checkpoints = []

    def report(progress):
        checkpoints.append(progress.done)
        if progress.done == 9:
            raise helpers.Killed

    with pytest.raises(helpers.Killed):
        helpers.train(helpers.job(disk, "auxbn", report=report))
    lines = [json.loads(line) for line in read(disk, "auxbn", "metrics.jsonl").decode().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["checkpoint_time"] is not None for line in lines] == [step >= 6 for step in range(1, 9)]
    assert 0 <= lines[-1]["time"] - lines[-1]["checkpoint_time"] < 60
    helpers.train(helpers.job(disk, "auxbn"))  # goes on from step 6; what was shown past it is made again
    assert [line["step"] for line in helpers.metrics(disk, "auxbn")] == list(range(1, 13))


@pytest.mark.parametrize("arm", ["real", "auxbn"])
def test_a_batch_may_be_larger_than_its_pools_and_split_unevenly(disk, arm):
    helpers.train(helpers.job(disk, arm, settings=helpers.config(batch_size=120, synthetic_share=0.25, steps=4)))
    done = json.loads(read(disk, arm, "done.json"))
    assert done["images"]["real"] == 32
    if arm == "real":
        assert done["passes"] == {"real": 15.0}
    else:
        assert done["passes"] == {"real": 11.25, "synthetic": round(4 * 30 / done["images"]["synthetic"], 3)}
