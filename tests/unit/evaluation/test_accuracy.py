import io
from importlib import resources

import pytest
import torch
from PIL import Image
from safetensors.torch import save
from timm.data import ImageNetInfo

from synaug.config.training import TrainingSettings
from synaug.data import importers
from synaug.data.classes import ClassEntry
from synaug.data.split_writer import Sample, pack
from synaug.errors import DataError, UsageError
from synaug.evaluation import accuracy
from synaug.training import augmentation

SETTINGS = TrainingSettings(model="resnet10t", image_size=16, test_crop=1.0)


def coloured(number: int) -> Image.Image:
    """A picture whose red channel says which class it is of."""
    return Image.new("RGB", (16, 16), (20 * number, 0, 0))


class ReadsColours(torch.nn.Module):
    """Always right about `coloured`: answers with the number that the red channel says."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        mean, std = 0.485, 0.229  # of timm's ImageNet normalization
        numbers = ((images[:, 0].mean((1, 2)) * std + mean) * 255 / 20).round().long()
        return torch.nn.functional.one_hot(numbers, self.classes).float()


def last(totals):
    return list(totals)[-1]


def top1_of(store, split, classes, model, **options):
    images = accuracy.batches(store, split, classes, SETTINGS, batch_size=5)
    counts = last(accuracy.count(model, images, len(classes), **options))
    return counts.top1.sum().item() / counts.images.sum().item()


@pytest.mark.parametrize("labels", [False, True])
def test_folders_0_1_10_2_are_matched_by_id_or_integer_not_by_sorted_name(store, tmp_path, labels):
    classes = [ClassEntry(id=str(n), names=[f"name {n}"]) for n in range(12)]
    for n in range(12):
        (tmp_path / "photos" / str(n)).mkdir(parents=True)
        coloured(n).save(tmp_path / "photos" / str(n) / "one.png")
    samples, ids = importers.to_samples(
        importers.read_folder(tmp_path / "photos"), tmp_path / "photos", labels=labels, classes=classes
    )
    pack(store, "v2", samples, classes=ids)
    assert top1_of(store, "v2", classes, ReadsColours(12)) == 1.0


def packed(store, split, ids, numbers):
    """One picture for each number, of the class at that position in ids."""
    samples = []
    for number in numbers:
        file = io.BytesIO()
        coloured(number).save(file, "PNG")
        samples.append(Sample(f"picture-{number}", number, file.getvalue()))
    pack(store, split, samples, classes=ids)


def test_two_classes_of_one_name_stay_apart(store):
    classes = [ClassEntry(id="n02012849", names=["crane"]), ClassEntry(id="n03126707", names=["crane"])]
    packed(store, "val", ["n02012849", "n03126707"], [0, 1])
    images = accuracy.batches(store, "val", classes, SETTINGS)
    assert last(accuracy.count(ReadsColours(2), images, 2)).top1.tolist() == [1, 1]


def test_a_set_may_hold_a_part_of_the_classes_and_images_of_others(store):
    ids = ["a", "b", "c", "d"]
    packed(store, "part", ids, [1, 2, 3])
    classes = [
        ClassEntry(id=one, names=[one]) for one in ("d", "c", "b")
    ]  # not a, which the split lists too; other order
    images = list(accuracy.batches(store, "part", classes, SETTINGS))
    assert sorted(torch.cat([labels for _, labels in images]).tolist()) == [0, 1, 2]
    packed(store, "more", ids, [0, 1, 1 + 2])
    labels = torch.cat([labels for _, labels in accuracy.batches(store, "more", classes, SETTINGS)])
    assert sorted(labels.tolist()) == [-1, 0, 2]
    counts = last(accuracy.count(torch.nn.Identity(), iter([(torch.zeros(3, 3), labels)]), 3))
    assert counts.images.tolist() == [1, 0, 1]


@pytest.mark.parametrize("subset", ["imagenet-a", "imagenet-r"])
def test_subsets_are_200_way_by_timms_lists(subset):
    wnids = ImageNetInfo("imagenet-1k").label_names()
    classes = [ClassEntry(id=wnid, names=["x"]) for wnid in reversed(wnids)]  # an order of the run's own
    among = accuracy.subset_labels(subset, classes)
    indices = (resources.files("timm.data") / "_info" / f"{subset.replace('-', '_')}_indices.txt").read_text().split()
    assert sorted(999 - label for label in among) == sorted(map(int, indices)) and len(among) == 200
    outside = next(n for n in range(1000) if n not in among)

    class PrefersOutside(torch.nn.Module):
        def forward(self, images):
            outputs = torch.zeros(len(images), 1000)
            outputs[:, outside], outputs[:, among[7]] = 2.0, 1.0
            return outputs

    batch = (torch.zeros(2, 3, 4, 4), torch.tensor([among[7], outside]))
    all_classes = last(accuracy.count(PrefersOutside(), iter([batch]), 1000))
    narrowed = last(accuracy.count(PrefersOutside(), iter([batch]), 1000, among=among))
    assert (all_classes.top1.sum(), all_classes.images.sum()) == (1, 2)
    assert (narrowed.top1.sum(), narrowed.images.sum()) == (1, 1)


def test_subset_of_a_run_with_other_classes_is_refused():
    with pytest.raises(UsageError, match="lacks 200 of them"):
        accuracy.subset_labels("imagenet-a", [ClassEntry(id="bag", names=["bag"])])
    with pytest.raises(UsageError, match="imagenet-a and imagenet-r are known"):
        accuracy.subset_labels("imagenet-x", [])


def test_top5_counts_the_five_best_and_fewer_classes_than_five():
    outputs = torch.tensor([[6.0, 5, 4, 3, 2, 1]] * 6)
    model = torch.nn.Identity()
    counts = last(accuracy.count(model, iter([(outputs, torch.arange(6))]), 6))
    assert (counts.top1.tolist(), counts.top5.tolist()) == ([1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0])
    assert last(accuracy.count(model, iter([(outputs[:2, :3], torch.tensor([0, 2]))]), 3)).top5.sum() == 2


def test_outputs_that_are_not_finite_are_an_error():
    with pytest.raises(DataError, match="not finite"):
        last(accuracy.count(torch.nn.Identity(), iter([(torch.full((1, 3), float("nan")), torch.tensor([0]))]), 3))


def test_images_are_kept_for_the_next_model_within_the_limit(store, monkeypatch):
    monkeypatch.setattr(accuracy, "_kept", type(accuracy._kept)())
    packed(store, "one", ["a", "b"], [0, 1])
    classes = [ClassEntry(id=one, names=[one]) for one in "ab"]
    first = list(accuracy.batches(store, "one", classes, SETTINGS))
    again = list(accuracy.batches(store, "one", classes, SETTINGS))
    assert first[0][0] is again[0][0]
    monkeypatch.setattr(accuracy, "KEPT_BYTES", 100)
    monkeypatch.setattr(accuracy, "_kept", type(accuracy._kept)())
    streamed = list(accuracy.batches(store, "one", classes, SETTINGS))
    assert not accuracy._kept
    assert torch.equal(torch.cat([i for i, _ in streamed]), torch.cat([i for i, _ in first]))


def test_a_checkpoint_of_another_model_is_refused():
    import timm

    weights = save(timm.create_model("resnet10t", num_classes=4).state_dict())
    with pytest.raises(DataError, match=r"not one of resnet10t with 3 classes"):
        accuracy.load_model(SETTINGS, 3, weights)
    assert not accuracy.load_model(SETTINGS, 4, weights).training


@pytest.mark.parametrize("size", [(16, 16), (40, 24)])
@pytest.mark.parametrize("crop", [1.0, 0.8])
def test_images_reach_the_model_as_the_test_transform_makes_them(store, size, crop):
    noise = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    image, file = Image.fromarray(noise.numpy()), io.BytesIO()
    image.save(file, "PNG")
    pack(store, "noise", [Sample("one", 0, file.getvalue())], classes=["a"])
    settings = SETTINGS.model_copy(update={"test_crop": crop})
    pixels, _ = next(accuracy.batches(store, "noise", [ClassEntry(id="a", names=["a"])], settings))
    torch.testing.assert_close(pixels[0], augmentation.evaluation_transform(settings)(image), atol=1e-5, rtol=0)
