"""`synaug show`: one image of a run, made again from its key.

torch, Pillow, numpy and the generation are imported when an image is made: --help starts without them.
"""

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from synaug.backends.devices import find_device
from synaug.cli.parser import add_override_arguments, add_run_argument, add_store_argument
from synaug.errors import DataError
from synaug.run.environment import image_versions
from synaug.run.job import Job, open_job

if TYPE_CHECKING:
    from synaug.generation.regenerate import StoredImage

HELP = "make one image again from its key and say how far it is from the stored one"
EPILOG = """\
reads    the run's plan, the image's manifest and tar, the diffusion weights
writes   KEY.png here (or --output): the new image, beside the stored one
needs    the part of the image to be made. KEY is CLASS_ID-INDEX, as in the tars

With --exact the image's whole batch is generated as it was, and the stored bytes must come out; another device or other
library versions than the manifest's can prevent that.

example  synaug show n02012849-0000017 --store ./store --run first
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="key of the image, like n02012849-0000017")
    add_store_argument(parser)
    add_run_argument(parser)
    parser.add_argument("--exact", action="store_true", help="rerun its whole batch and compare bytes")
    parser.add_argument("--output", type=Path, metavar="FILE", help="PNG to write (default: KEY.png)")
    add_override_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Make an image again and compare it.

    Raises UsageError for an unknown key, DataError for an image that is not made, or with --exact comes out otherwise.
    """
    from synaug.generation import regenerate

    job = open_job(args.store, args.run, overrides=args.overrides)
    stored = regenerate.find_stored(job, args.key)
    _show(job, stored, args)


def _show(job: Job, stored: "StoredImage", args: argparse.Namespace) -> None:
    import numpy as np
    import torch
    from PIL import Image

    from synaug.backends.diffusion import open_diffusion
    from synaug.backends.levers import levers_of
    from synaug.data.images import decode_rgb
    from synaug.generation import regenerate
    from synaug.generation.postprocess import to_image, to_jpeg

    images = job.config.images
    device = find_device(job.config.compute.device)
    torch.set_num_threads(job.config.threads)
    diffusion = open_diffusion(job.config, device)
    image = stored.to_request(job.plan.labels[stored.metadata["class_id"]])
    if args.exact:
        original = regenerate.rebuild_batch(job, stored)
        pixels = regenerate.generate_exactly(diffusion, job.config, original, stored.key)
    else:
        pixels = regenerate.generate_alone(diffusion, job.config, image)
    again = to_image(pixels, shortest_edge=images.shortest_edge)
    jpeg = to_jpeg(again, quality=images.jpeg_quality)
    row = stored.manifest.key.index(stored.key)
    before = np.asarray(decode_rgb(stored.jpeg, job.store, stored.manifest, row), np.int16)
    after = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.int16)
    difference = np.abs(before - after)
    output = args.output or Path(f"{stored.key}.png")
    Image.fromarray(np.concatenate([before, after], axis=1).astype(np.uint8)).save(output)
    model, now = f"{diffusion.info.name}@{diffusion.info.revision}", image_versions(device) | levers_of(images)
    changed = [
        f"{name} {old} -> {now.get(name)}" for name, old in stored.manifest.versions.items() if now.get(name) != old
    ]
    changed += [] if stored.manifest.model == model else [f"model {stored.manifest.model} -> {model}"]
    facts = stored.metadata
    print(f"{stored.key}  {facts['prompt']!r} ({facts['kind']}), attempt {facts['attempt']}, seed {facts['seed']}")
    print(f"stored and made again differ by {difference.max()} at most, {difference.mean():.3f} in the mean, of 255")
    print(f"side by side: {output}")
    if changed:
        print(f"since then: {'; '.join(changed)}")
    if args.exact:
        if jpeg != stored.jpeg:
            why = f"since then: {'; '.join(changed)}" if changed else "model, versions and device are the same"
            raise DataError(
                f"{stored.key}: its batch of {original.batch.size} gives other bytes than the stored ones; {why}"
            )
        print(f"its batch of {original.batch.size} gives the same bytes")
