"""The data-set card (README.md of the run) and timm's `_info.json`."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from synaug.data.index import Index
from synaug.run.job import Job
from synaug.run.plan import Plan

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
CARD = """\
---
{front}---

# {run}: synthetic images for image classification

**Every image here is synthetic.** {images:,} images of {classes} classes, made with synaug from text prompts
by an off-the-shelf text-to-image model, meant to be mixed with the {real:,} real images \
that they were counted after ({scale}x).
They carry the biases and the mistakes of the models below: train with them, do not evaluate on them.

## Models

{models}

The images fall under the licence of the model that made them ({license}).

## What is in it

{counts}

Prompt kinds: *plain* (the class alone), *cd* (with a context: foreground, background, lighting, angle), \
*sd* (in a style).
{filtered}
Rejected and made again: {rejects}. Given up: {lost}. Prompts cut by the text encoder: {truncated}.

## How it was made

- Plan digest `{digest}`, seed {seed}; generation batch {batch}. \
An image's noise derives from seed, class id, index and attempt.
- Senses of the class names {senses}; prompts files used: {files} for {classes} classes{edited}.
- Stored with the shortest edge at most {edge} pixels, JPEG quality {quality}.

## How to read it

WebDataset tars; each sample is `KEY.jpg`, `KEY.cls` (label), `KEY.txt` (prompt) and `KEY.json` (metadata).
Labels are positions in the class list below.

    timm.data.create_dataset("wds/", root="RUN_FOLDER", split="x1", is_training=True)

Tables beside the tars (`synthetic/x1/*.json`) list key, class, offset, length, prompt kind and CLIP score \
of each sample;
`index.json` lists all parts.
The splits of `_info.json` are the multiples: `x1` is the 1x set, `x1` and `x2` together 2x, and `train` is all of it.

## Classes

{table}
"""


def card(job: Job, index: Index) -> str:
    """Write the card as Markdown with YAML front matter, as the Hugging Face hub reads it.

    Byte-reproducible: no date, no machine.
    """
    plan, config = job.plan, job.config
    kept = sum(part.kept for part in index.parts)
    licenses = sorted({model.license for model in plan.models if model.role == "diffusion"})
    front = {
        "tags": ["synthetic", "image-classification", "synaug", "webdataset"],
        "task_categories": ["image-classification"],
        "size_categories": [next((name for limit, name in SIZES if kept < limit), "n>10M")],
        "license": "other",
        "license_name": ", ".join(licenses) or "unknown",
        "pretty_name": f"{index.run} ({index.scale}x synthetic)",
    }
    left_out = sum(sum(kinds.values()) for kinds in index.left_out.values())
    filtered = (
        "No image was left out for its CLIP score.\n"
        if index.min_clip_score is None
        else f"Left out for a CLIP score below {index.min_clip_score}: {left_out:,} "
        "(they lie in the tars; `index.json` counts them).\n"
    )
    files = len({digest for digests in index.prompts.values() for digest in digests})
    mixed = sum(len(digests) > 1 for digests in index.prompts.values())
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        run=index.run,
        images=kept,
        classes=len(plan.classes),
        real=sum(plan.real_counts.values()),
        scale=index.scale,
        models=_models(plan),
        license=", ".join(licenses) or "unknown",
        counts=_counts(index),
        digest=index.digest,
        seed=config.seed,
        batch=", ".join(map(str, index.batch_sizes)),
        filtered=filtered,
        rejects=", ".join(f"{count} {reason}" for reason, count in index.rejects.items()) or "none",
        lost=", ".join(index.lost) or "none",
        truncated=index.truncated_prompts,
        files=files,
        edited=f" ({mixed} of them with more than one: edited while the set was made)" if mixed else "",
        senses="settled by LLM and CLIP" if config.prompts.senses else "not looked for",
        edge=config.images.shortest_edge,
        quality=config.images.jpeg_quality,
        table=_classes(plan, index),
    )


def timm_info(index: Index) -> str:
    """Write timm's `_info.json`: a split for each multiple, and `train` for all.

    It counts what is in the tars, left-out images included.
    """
    splits = {f"x{m}": [part for part in index.parts if part.multiple == m] for m in range(1, index.scale + 1)}
    splits["train"] = index.parts
    info: dict[str, dict[str, Any]] = {
        name: {
            "name": name,
            "num_samples": sum(part.images for part in parts),
            "filenames": [part.tar.removeprefix(f"runs/{index.run}/") for part in parts],
            "shard_lengths": [part.images for part in parts],
        }
        for name, parts in splits.items()
    }
    return json.dumps({"name": index.run, "splits": info}, indent=1) + "\n"


def _models(plan: Plan) -> str:
    rows = [
        (model.role, model.name, f"`{model.revision}`", model.license + (" (restricted)" if model.restricted else ""))
        for model in plan.models
    ]
    return _table(("role", "model", "revision", "licence"), rows)


def _counts(index: Index) -> str:
    rows = []
    for multiple, classes in index.images.items():
        kinds: Counter[str] = Counter()
        for counts in classes.values():
            kinds.update(counts)
        tars = [part for part in index.parts if f"x{part.multiple}" == multiple]
        by_kind = [f"{kinds[kind]:,}" for kind in ("plain", "cd", "sd")]
        megabytes = sum(part.bytes for part in tars) / 1e6
        rows.append([multiple, f"{kinds.total():,}", *by_kind, len(tars), f"{megabytes:,.1f} MB"])
    return _table(("multiple", "images", "plain", "cd", "sd", "tars", "size"), rows)


def _classes(plan: Plan, index: Index) -> str:
    rows = []
    for label, entry in enumerate(plan.classes):
        images = sum(sum(classes.get(entry.id, {}).values()) for classes in index.images.values())
        rows.append((label, f"`{entry.id}`", ", ".join(entry.names), plan.real_counts[entry.id], images))
    return _table(("label", "id", "names", "real", "synthetic"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
