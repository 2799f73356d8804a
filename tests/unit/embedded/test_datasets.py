import io

import numpy as np
import pytest
from PIL import Image

from recipes import datasets as recipe
from recipes import fashion
from synaug.data import layout
from synaug.data.splits import split_pool
from synaug.embedded import datasets
from tests.pictures import images_of

COUNTS = {"train": 50, "dev": 200, "oracle": 300}


def test_shipped_splits_are_balanced_and_small():
    for split, each in COUNTS.items():
        tiles, labels, positions = datasets.photos(split)
        assert tiles.shape == (10 * each, 28, 28) and len(set(positions)) == 10 * each
        assert np.bincount(labels).tolist() == [each] * 10
    assert datasets.photos("test")[0].shape == (10_000, 28, 28)
    assert sum(file.stat().st_size for file in datasets.FOLDER.iterdir()) < 8 * 2**20
    assert "MIT" in (datasets.FOLDER / "LICENSE").read_text()


def test_real_and_dev_photos_were_seen_by_no_model_and_the_oracles_were():
    train, dev, oracle = (set(datasets.photos(split)[2]) for split in COUNTS)
    assert min(train | dev) >= 50_000 and not train & dev
    assert max(oracle) < 50_000


def test_every_out_of_domain_photo_is_of_the_split_it_claims():
    for name in ("ood-noise", "dev-ood-noise"):
        _, labels, keys = datasets.pictures(name)
        file = "train" if name.startswith("dev") else "test"
        assert all(key.startswith(f"{name}-{file}-") for key in keys)
        assert len(set(keys)) == len(labels) == (1000 if name.startswith("dev") else 2000)


def test_import_writes_a_split_whose_labels_are_class_ids(store):
    datasets.import_split(store, "train")
    table = split_pool(store, "train", list(reversed(datasets.classes())))[0]
    tiles, labels, positions = datasets.photos("train")
    by_key = {
        f"train-{position:06d}": (tile, label) for position, tile, label in zip(positions, tiles, labels, strict=True)
    }
    for key, label, data in images_of(store.get(table.tar), table)[:50]:
        tile, its_label = by_key[key]
        assert label == 9 - its_label
        image = np.asarray(Image.open(io.BytesIO(data)))
        assert image.shape == (32, 32, 3)
        assert np.abs(image[2:-2, 2:-2, 0].astype(int) - tile).mean() < 4  # JPEG


def test_import_is_reproducible_and_repeatable(tmp_path):
    from synaug.data.store import open_store

    stores = [open_store(str(tmp_path / name), create=True) for name in "ab"]
    for store in stores:
        datasets.import_all(store, ["train", "dev-ood-contexts"])
    first, second = ({key: store.get(key) for key in store.list("real/")} for store in stores)
    assert first == second and layout.real_split("train") in first
    assert datasets.import_all(stores[0], ["train"])["train"].samples == 500


def test_the_recipe_cuts_the_shipped_photos_again():
    if not fashion.FOLDER.exists():
        pytest.skip("Fashion-MNIST is not here: Debian's package is dataset-fashion-mnist")
    originals, labels = fashion.read("train")
    for split, positions in recipe.choose(labels).items():
        tiles, its_labels, shipped = datasets.photos(split)
        assert shipped == positions.tolist()
        assert np.array_equal(tiles, originals[positions]) and np.array_equal(its_labels, labels[positions])
