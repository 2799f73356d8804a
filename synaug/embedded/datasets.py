"""The photos that synaug carries (Fashion-MNIST, MIT: data/fashion-mnist/LICENSE), and their import into a store.

Splits: `train` (500 real training photos) and `dev` (2,000, everything is tuned on them) from the last 10,000 training
photos of Fashion-MNIST; `test`, the official test photos; `oracle` (3,000 of the 50,000 that the generator and CLIP
were trained on); and the out-of-domain sets that `synaug.embedded.ood` draws on dev and on test photos.
"""

import io
import json
from collections.abc import Iterable

import numpy as np
from PIL import Image

from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.manifest import RealSplit
from synaug.data.split_writer import Sample, pack
from synaug.data.store import Store
from synaug.embedded import DATA, ood

FOLDER = DATA / "fashion-mnist"
CLASSES = {
    "t-shirt": "t-shirt",
    "trousers": "trousers",
    "pullover": "pullover",
    "dress": "dress",
    "coat": "coat",
    "sandal": "sandal",
    "shirt": "shirt",
    "sneaker": "sneaker",
    "bag": "bag",
    "ankle-boot": "ankle boot",
}
PHOTO_SPLITS = ("train", "dev", "test", "oracle")
JPEG_QUALITY = 92  # as the synthetic images
NOTES = {
    "train": "500 Fashion-MNIST photos, 50 a class, of the last 10,000 training photos",
    "dev": "2,000 other Fashion-MNIST photos of the last 10,000 training photos; everything was tuned on these",
    "test": "the 10,000 official Fashion-MNIST test photos, used for the report only",
    "oracle": "3,000 of the 50,000 Fashion-MNIST photos that the embedded generator and CLIP were trained on",
} | {name: ood_set.note for name, ood_set in ood.SETS.items()}


def classes() -> list[ClassEntry]:
    """List the ten classes in the order of Fashion-MNIST's labels."""
    return [ClassEntry(id=class_id, names=[name]) for class_id, name in CLASSES.items()]


def photos(split: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Read a shipped split: (n, 28, 28) uint8, labels (n,) and each photo's position in its original file."""
    index = json.loads((FOLDER / "splits.json").read_text())[split]
    labels = np.array(list(index["labels"]), np.int64)
    sheet = np.asarray(Image.open(FOLDER / f"{split}.png"))
    tiles = sheet.reshape(-1, 28, sheet.shape[1] // 28, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28)
    return tiles, labels, index["position"]


def pictures(name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read or draw a split of `NOTES`: (n, 32, 32, 3) uint8, labels (n,) and a sample key each.

    A key says which original photo it is: `train-050123` is number 50,123 of Fashion-MNIST's training file.
    """
    source = name if name in PHOTO_SPLITS else ood.SETS[name].source
    tiles, labels, positions = photos(source)
    padded = np.pad(tiles, ((0, 0), (2, 2), (2, 2)))
    file = "test" if source == "test" else "train"
    keys = [f"{file}-{position:06d}" for position in positions]
    if name in PHOTO_SPLITS:
        return np.repeat(padded[..., None], 3, axis=-1), labels, keys
    drawn, chosen = ood.draw(name, padded / 255.0, labels)
    return np.round(drawn * 255).astype(np.uint8), labels[chosen], [f"{name}-{keys[n]}" for n in chosen]


def jpeg(picture: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 as JPEG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def import_split(store: Store, name: str) -> RealSplit:
    """Write one split of `NOTES` to the store; nothing is done when the store has it already."""
    if store.exists(layout.real_split(name)):
        return RealSplit.model_validate_json(store.get(layout.real_split(name)))
    images, labels, keys = pictures(name)
    samples = [Sample(key, int(label), jpeg(image)) for key, label, image in zip(keys, labels, images, strict=True)]
    return pack(store, name, samples, classes=list(CLASSES)).split


def import_all(store: Store, splits: Iterable[str] = tuple(NOTES)) -> dict[str, RealSplit]:
    """Write splits that synaug carries: {name: what was written}.

    About 10 seconds for all; safe to repeat; equal bytes each time.
    """
    return {name: import_split(store, name) for name in splits}
