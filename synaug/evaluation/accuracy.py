"""Accuracy of an exported model on a split: one forward pass, images decoded once a process where they fit."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from synaug.config.training import TrainingSettings
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.images import decode_rgb
from synaug.data.manifest import TarTable
from synaug.data.splits import split_pool
from synaug.data.store import Store
from synaug.data.webdataset import fetch_tar, image_bytes
from synaug.errors import DataError, UsageError
from synaug.training.augmentation import evaluation_transform, normalization

BATCH = 250
KEPT_BYTES = 1 << 30  # of decoded test images in a process
_kept: OrderedDict[tuple, list[tuple[Tensor, Tensor]]] = OrderedDict()


@dataclass(frozen=True)
class Counts:
    """Right answers by label; all (classes,) int64."""

    images: Tensor
    top1: Tensor
    top5: Tensor


def load_model(settings: TrainingSettings, classes: int, weights: bytes) -> nn.Module:
    """The plain timm model with an exported state: strict, in eval mode. Raises DataError when it is of another model."""
    import timm
    from safetensors.torch import load

    model = timm.create_model(settings.model, num_classes=classes, **settings.model_kwargs)
    try:
        model.load_state_dict(load(weights), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"the checkpoint is not one of {settings.model} with {classes} classes ({reason}); train the arm again"
        ) from error
    return model.eval()


def batches(
    store: Store,
    split: str,
    classes: list[ClassEntry],
    settings: TrainingSettings,
    *,
    threads: int = 1,
    batch_size: int = BATCH,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (b, 3, S, S) float32 and labels (b,) in the order of the tars; label -1: of no class of the run.

    Kept for the next model of the process while all kept sets together stay below KEPT_BYTES.
    """
    size = settings.test_image_size or settings.image_size
    tables = split_pool(store, split, classes)
    data = hashlib.sha256(store.get(layout.real_split(split))).hexdigest()  # another import is another test set
    key = (store.url, data, tuple(c.id for c in classes), settings.model, size, settings.test_crop, batch_size)
    if key in _kept:
        yield from _kept[key]
        return
    bytes_needed = decoded_bytes(sum(len(table.key) for table in tables), settings)
    images = decoded(store, tables, settings, threads=threads, batch_size=batch_size)
    if bytes_needed > KEPT_BYTES:
        yield from images
        return
    kept = list(images)
    while _kept and bytes_needed + sum(images.nbytes for one in _kept.values() for images, _ in one) > KEPT_BYTES:
        _kept.popitem(last=False)
    _kept[key] = kept
    yield from kept


def decoded_bytes(images: int, settings: TrainingSettings) -> int:
    """Of so many decoded test images, float32."""
    size = settings.test_image_size or settings.image_size
    return images * 3 * size * size * 4


def decoded(
    store: Store, tables: list[TarTable], settings: TrainingSettings, *, threads: int = 1, batch_size: int = BATCH
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """The same of any tables; nothing is kept. Raises DataError for a broken image."""
    decode = Decoder(settings)
    for images, labels in read(store, tables, decode, threads=threads, batch_size=batch_size):
        yield decode.stacked(images), labels


def read(
    store: Store,
    tables: list[TarTable],
    decode: Callable[[Image.Image], object],
    *,
    threads: int = 1,
    batch_size: int = BATCH,
) -> Iterator[tuple[list, Tensor]]:
    """Batches of what decode makes of each image, RGB, and labels (b,), in the order of the tables; none spans two tars."""

    def decoded_row(tar: bytes, table: TarTable, row: int) -> object:
        return decode(decode_rgb(image_bytes(tar, table, row), store, table, row))

    with ThreadPoolExecutor(threads) as pool:
        for table in tables:
            tar, rows = fetch_tar(store, table), iter(range(len(table.key)))
            waiting = None
            while chunk := list(islice(rows, batch_size)):
                images = [
                    pool.submit(decoded_row, tar, table, row) for row in chunk
                ]  # decoded while the batch before is in the model
                if waiting:
                    yield [one.result() for one in waiting[0]], waiting[1]
                waiting = images, torch.tensor([table.label[row] for row in chunk])
            if waiting:
                yield [one.result() for one in waiting[0]], waiting[1]


class Decoder:
    """From a tar to what the model sees at test. Images that have the right size already are normalized together: ten times as fast."""

    def __init__(self, settings: TrainingSettings):
        self.transform = evaluation_transform(settings)
        self.size = settings.test_image_size or settings.image_size
        self.resizes = round(self.size / settings.test_crop) != self.size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in normalization(settings))

    def __call__(self, image: Image.Image) -> Tensor:
        """(3, S, S) float32, or (S, S, 3) uint8 where it is still to be normalized."""
        if self.resizes or image.size != (self.size, self.size):
            return self.transform(image)
        return torch.from_numpy(np.array(image))

    def stacked(self, images: list[Tensor]) -> Tensor:
        if all(image.dtype == torch.uint8 for image in images):
            return self.normalized(torch.stack(images))
        return torch.stack([self.normalized(image) if image.dtype == torch.uint8 else image for image in images])

    def normalized(self, images: Tensor) -> Tensor:
        """(..., S, S, 3) uint8 to (..., 3, S, S), channels last in memory."""
        return images.movedim(-1, -3).float().div_(255).sub_(self.mean).div_(self.std)


def subset_labels(subset: str, classes: list[ClassEntry]) -> list[int]:
    """Labels, in the run's own class list, of the 200 classes of `imagenet-a` or `imagenet-r`, by timm's lists of synsets.

    Raises UsageError where the run lacks one of them.
    """
    file = resources.files("timm.data") / "_info" / f"{subset.replace('-', '_')}_synsets.txt"
    if subset not in ("imagenet-a", "imagenet-r"):
        raise UsageError(f"subset {subset!r} is unknown; imagenet-a and imagenet-r are known, null takes all classes")
    wanted, labels = file.read_text().split(), {c.id: n for n, c in enumerate(classes)}
    if missing := [synset for synset in wanted if synset not in labels]:
        raise UsageError(
            f"subset {subset} needs its 200 synsets as class ids; the run lacks {len(missing)} of them, {missing[0]} first"
        )
    return sorted(labels[synset] for synset in wanted)


@torch.inference_mode()
def count(
    model: nn.Module,
    images: Iterator[tuple[Tensor, Tensor]],
    classes: int,
    *,
    among: list[int] | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Counts]:
    """Running totals after each batch. among: only these labels can be the answer, and images of others are left out.

    Otherwise the answer is one of all classes, also where the set holds a part of them. Raises DataError for outputs that are not finite.
    """
    totals = torch.zeros(3, classes, dtype=torch.int64)
    allowed = torch.ones(classes, dtype=torch.bool) if among is None else torch.zeros(classes, dtype=torch.bool)
    if among is not None:
        allowed[among] = True
    for pixels, labels in images:
        keep = (labels >= 0) & allowed[labels.clamp(min=0)]
        if keep.any():
            labels = labels[keep]
            outputs = model((pixels if keep.all() else pixels[keep]).to(device)).float().cpu()
            if not outputs.isfinite().all():
                raise DataError(
                    "the model's outputs are not finite, its training diverged; train another arm at a lower lr"
                )
            best = outputs.masked_fill(~allowed, float("-inf")).topk(min(5, classes), dim=1).indices
            right = best == labels[:, None]
            for total, hit in zip(
                totals, (torch.ones_like(labels, dtype=torch.bool), right[:, 0], right.any(1)), strict=True
            ):
                total += torch.bincount(labels[hit], minlength=classes)
        yield Counts(*totals.clone())
