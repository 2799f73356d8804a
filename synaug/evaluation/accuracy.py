"""Accuracy of an exported model on a split: one forward pass, each image decoded once per process where they fit."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from itertools import islice

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load
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

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.images + other.images, self.top1 + other.top1, self.top5 + other.top5)


def load_model(settings: TrainingSettings, classes: int, weights: bytes) -> nn.Module:
    """Load an exported state into the plain timm model, strictly; it comes in eval mode.

    Raises DataError when the state is of another model.
    """
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
    """Read a split as batches of images (b, 3, S, S) float32 and labels (b,), in the order of the tars.

    Label -1: of no class of the run. The decoded images stay in memory for the next model of the process while all such
    sets together are below KEPT_BYTES. Raises DataError for a split that is not imported, a damaged tar or a broken
    image.
    """
    size = settings.test_image_size or settings.image_size
    tables = split_pool(store, split, classes)
    data = hashlib.sha256(store.get(layout.real_split(split))).hexdigest()  # another import is another test set
    key = (store.url, data, tuple(c.id for c in classes), settings.model, size, settings.test_crop, batch_size)
    if key in _kept:
        yield from _kept[key]
        return
    bytes_needed = decoded_bytes(sum(len(table.key) for table in tables), settings)
    fresh = decoded(store, tables, settings, threads=threads, batch_size=batch_size)
    if bytes_needed > KEPT_BYTES:
        yield from fresh
        return
    while _kept and bytes_needed + sum(images.nbytes for kept in _kept.values() for images, _ in kept) > KEPT_BYTES:
        _kept.popitem(last=False)
    _kept[key] = list(fresh)
    yield from _kept[key]


def decoded_bytes(images: int, settings: TrainingSettings) -> int:
    """Compute the bytes of memory that decoded test images take, as float32."""
    size = settings.test_image_size or settings.image_size
    return images * 3 * size * size * 4


def decoded(
    store: Store, tables: list[TarTable], settings: TrainingSettings, *, threads: int = 1, batch_size: int = BATCH
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Read the images of some tars as `batches` reads those of a split, without keeping them in memory.

    Raises DataError for a damaged tar or a broken image.
    """
    decode = Decoder(settings)
    for images, labels in read(store, tables, decode, threads=threads, batch_size=batch_size):
        yield decode.stack(images), labels


def read(
    store: Store,
    tables: list[TarTable],
    decode: Callable[[Image.Image], object],
    *,
    threads: int = 1,
    batch_size: int = BATCH,
) -> Iterator[tuple[list, Tensor]]:
    """Read batches of what decode makes of each image, RGB, with labels (b,), in the order of the tables.

    No batch spans two tars. Raises DataError for a damaged tar or a broken image, and what decode raises.
    """

    def decode_row(tar: bytes, table: TarTable, row: int) -> object:
        return decode(decode_rgb(image_bytes(tar, table, row), store, table, row))

    with ThreadPoolExecutor(threads) as pool:
        for table in tables:
            tar, rows = fetch_tar(store, table), iter(range(len(table.key)))
            waiting: list[Future] = []
            labels = torch.empty(0)
            while chunk := list(islice(rows, batch_size)):
                # this batch is decoded while the one before is in the model
                decoding = [pool.submit(decode_row, tar, table, row) for row in chunk]
                if waiting:
                    yield [image.result() for image in waiting], labels
                waiting, labels = decoding, torch.tensor([table.label[row] for row in chunk])
            if waiting:
                yield [image.result() for image in waiting], labels


class Decoder:
    """From a decoded image to what the model sees at test.

    Images that have the right size already are normalized together: ten times as fast.
    """

    def __init__(self, settings: TrainingSettings):
        self.transform = evaluation_transform(settings)
        self.size = settings.test_image_size or settings.image_size
        self.resizes = round(self.size / settings.test_crop) != self.size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in normalization(settings))

    def __call__(self, image: Image.Image) -> Tensor:
        """Prepare one image as (3, S, S) float32, or as (S, S, 3) uint8 where it is still to be normalized."""
        if self.resizes or image.size != (self.size, self.size):
            return self.transform(image)
        return torch.from_numpy(np.array(image))

    def stack(self, images: list[Tensor]) -> Tensor:
        """Stack decoded images as (b, 3, S, S) float32, and normalize those that are still to be."""
        if all(image.dtype == torch.uint8 for image in images):
            return self.normalize(torch.stack(images))
        return torch.stack([self.normalize(image) if image.dtype == torch.uint8 else image for image in images])

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize (..., S, S, 3) uint8 to (..., 3, S, S) float32, channels last in memory."""
        return images.movedim(-1, -3).float().div_(255).sub_(self.mean).div_(self.std)


def subset_labels(subset: str, classes: list[ClassEntry]) -> list[int]:
    """List the labels that the 200 classes of `imagenet-a` or `imagenet-r` have in the run, by timm's lists of synsets.

    Raises UsageError for another subset, or where the run lacks one of its classes.
    """
    file = resources.files("timm.data") / "_info" / f"{subset.replace('-', '_')}_synsets.txt"
    if subset not in ("imagenet-a", "imagenet-r"):
        raise UsageError(f"subset {subset!r} is unknown; imagenet-a and imagenet-r are known, null takes all classes")
    wanted, labels = file.read_text().split(), {c.id: n for n, c in enumerate(classes)}
    if missing := [synset for synset in wanted if synset not in labels]:
        raise UsageError(
            f"subset {subset} needs its 200 synsets as class ids; the run lacks {len(missing)} of them, "
            f"{missing[0]} first; "
            "set `subset: null` to take all classes, or give the run the classes of ImageNet"
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
    """Count right answers, and yield the running totals after each batch.

    among: only these labels can be the answer, and images of others are left out. Otherwise the answer is one of all
    classes, also where the set holds a part of them. Raises DataError for outputs that are not finite.
    """
    images_seen, top1, top5 = torch.zeros(3, classes, dtype=torch.int64)
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
            images_seen += torch.bincount(labels, minlength=classes)
            top1 += torch.bincount(labels[right[:, 0]], minlength=classes)
            top5 += torch.bincount(labels[right.any(1)], minlength=classes)
        yield Counts(images=images_seen.clone(), top1=top1.clone(), top5=top5.clone())
