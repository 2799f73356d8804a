"""What `synaug init` proposes for a folder of images: splits, classes, and a run.yaml with settings for small data."""

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml

from synaug.data.classes import ClassEntry, imagenet_classes, slug
from synaug.data.importers import LabelledFile, read_csv, read_folder
from synaug.errors import DataError

TEST_SPLITS = {"val": "val", "valid": "val", "validation": "val", "test": "test"}
SYNSET = re.compile(r"n\d{8}")
CLASSES_HEAD = """\
# The classes, in label order. Look through the names: they go into prompts, so write what people say.
#   id       key of the class everywhere, and the name of its folder (or the label in the CSV); keep it
#   names    the best first
#   gloss    optional: what the name means here. Given, no sense is looked for; else LLM and CLIP choose one
#   prompts  optional: your own plain prompts in place of `a photo of NAME`
# - {id: crane, names: [crane], gloss: a tall machine that lifts loads, prompts: [a photo of a tower crane on a site]}

"""
NO_TESTS = """\
# Import a split that is not trained on, and name it here; without one nothing is evaluated.
# tests:
#   val: {split: val, domain: in}
"""
RUN = """\
# run.yaml for $source, written by `synaug init` to be edited.
# `synaug config` lists every field with its default and meaning.
# What makes the images (classes, real, prompts, images, seed) is frozen once prompts or images exist;
# scale, arms, seeds and tests may grow.

classes: classes.yaml
context: ""                  # what all images are, like `aerial photograph`; enters the LLM's and the image prompts
real:
  train: $train               # split of the training images, as imported
scale: 2x                    # synthetic images for each real one; 4x later adds x3 and x4 only

prompts:
  llm: {model: Qwen/Qwen2.5-7B-Instruct}          # any chat model of transformers; `embedded` is a small one for a CPU
  clip: {model: ViT-L-14, pretrained: openai}     # any model of open_clip
  mix: {plain: 0.34, cd: 0.33, sd: 0.33}          # plain prompts, contexts, styles; sd: 0 if styles make no sense here

images:
  profile: sd15              # or sdxl, sdxl-turbo (non-commercial)
  batch_size: 16             # larger on a large GPU; the bytes depend on it

training:
  model: resnet50            # any timm model; AuxBN needs one with batch norm
  pretrained: timm           # start from the model's published weights; null: from scratch (more steps then)
  batch_size: $batch
  steps: $steps                # about $passes passes over the real images in a mixed arm
  lr: 0.02
  warmup_steps: 100
  amp: bfloat16              # none on a CPU

# All arms share batch, steps, schedule and augmentation. Gains count against the better of real and real-half.
arms:
  real: {kind: real}
  real-half: {kind: real-half}
  naive-2x: {kind: naive, scale: 2x}
  # auxbn-2x: {kind: auxbn, scale: 2x}            # auxiliary batch norm: below naive mixing in our study
  #                                                 (docs/results.md)
seeds: [0, 1, 2]             # small sets vary: several seeds, paired

$tests
compute:
  device: auto
  price: null                # of a GPU-hour, for the estimate
"""


@dataclass(frozen=True)
class FoundSplit:
    """A split that is at `source`: pairs of class name (as its folder or label has it) and image file."""

    name: str
    source: Path
    images: list[LabelledFile]


def find_splits(source: Path) -> list[FoundSplit]:
    """Find the splits of a folder or CSV file, `train` first. Raises DataError when nothing is there to be read."""
    if source.is_file() and source.suffix.lower() == ".csv":
        return [FoundSplit("train", source, read_csv(source))]
    if not source.is_dir():
        raise DataError(f"no folder or .csv file {source}; give a folder with a sub-folder of images for each class")
    if not (source / "train").is_dir():
        return [FoundSplit("train", source, read_folder(source))]
    tests = {
        TEST_SPLITS[path.name.lower()]: path
        for path in sorted(source.iterdir())
        if path.is_dir() and path.name.lower() in TEST_SPLITS
    }
    folders = {"train": source / "train"} | dict(sorted(tests.items(), reverse=True))
    return [FoundSplit(name, path, read_folder(path)) for name, path in folders.items()]


def propose_classes(splits: list[FoundSplit]) -> list[ClassEntry]:
    """Propose an entry for each class of any split, numbers in the order of their value.

    Raises DataError for a name that gives no id, and for two that give the same.
    """
    names = sorted(
        {name for split in splits for name, _ in split.images},
        key=lambda name: (0, int(name), "") if name.isdecimal() else (1, 0, name),
    )
    ids = {name: slug(name) for name in names}
    for class_id, count in Counter(ids.values()).items():
        if count > 1 or not class_id:
            shown = ", ".join(repr(name) for name in names if ids[name] == class_id)
            raise DataError(
                f"{shown} would get the class id {class_id!r}; rename so that the ids are different and not empty"
            )
    wordnet = any(SYNSET.fullmatch(name) for name in names)
    synsets = {entry.id: entry for entry in imagenet_classes("imagenet-22k")} if wordnet else {}
    return [
        synsets.get(name) or ClassEntry(id=ids[name], names=[" ".join(name.replace("_", " ").split())])
        for name in names
    ]


def classes_yaml(classes: list[ClassEntry], splits: list[FoundSplit]) -> str:
    """Write classes.yaml, with the number of training images under each class."""
    counts = Counter(slug(name) for name, _ in splits[0].images)
    lines = []
    for entry in classes:
        text = yaml.safe_dump(
            entry.model_dump(exclude_defaults=True),
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=1000,
        )
        note = "   # a number: write the name of the class" if entry.name.isdecimal() else ""
        lines.append(
            f"- {text.strip().replace(chr(10), chr(10) + '  ')}{note}\n  # {counts[entry.id]} training images\n"
        )
    return CLASSES_HEAD + "".join(lines)


def run_yaml(source: str, splits: list[FoundSplit]) -> str:
    """Write run.yaml. source: the folder or CSV file as it was given, for the head of the file."""
    images, batch = len(splits[0].images), 64
    steps = min(50_000, max(1_000, round(60 * images / (batch / 2), -2)))
    rows = "".join(f"  {split.name}: {{split: {split.name}, domain: in}}\n" for split in splits[1:])
    tests = f"tests:\n{rows}" if rows else NO_TESTS
    passes = f"{steps * batch / 2 / images:.0f}"
    return Template(RUN).substitute(
        source=source, train=splits[0].name, steps=steps, batch=batch, passes=passes, tests=tests
    )


def next_steps(splits: list[FoundSplit], classes: list[ClassEntry], folder: Path) -> list[str]:
    """List the lines to print: what was found, and the commands that follow."""
    counts = ", ".join(f"{len(split.images):,} images in {split.name}" for split in splits)
    run, listed = shlex.quote(str(folder / "run.yaml")), shlex.quote(str(folder / "classes.yaml"))
    lines = [f"wrote {run} and {listed}: {len(classes)} classes, {counts}"]
    if any(entry.name.isdecimal() for entry in classes):
        lines.append("some class names are numbers: write their names in classes.yaml, prompts are made from them")
    lines.append("edit both, then:")
    lines += [
        f"  synaug import {shlex.quote(str(split.source))} --store store --split {split.name} --classes {listed}"
        for split in splits
    ]
    lines.append(f"  synaug plan --config {run} --store store --run first")
    lines.append("  synaug preview --store store --run first --images 20")
    lines.append(f"  synaug run --config {run} --store store --run first")
    return lines
