"""`synaug import`: labelled images into the store, once.

What reads images (Pillow, numpy) and rich are imported when there is something to import: --help starts without them.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from synaug import telemetry
from synaug.cli.parser import add_store_argument
from synaug.config.run import Compute
from synaug.data import layout
from synaug.data.classes import ClassEntry, read_classes
from synaug.data.splits import check_split
from synaug.data.store import open_store
from synaug.errors import DataError, UsageError
from synaug.runner.log_tail import LogTail, end_if_stalled, log_tail_on_failure

if TYPE_CHECKING:
    from synaug.data.split_writer import Packed

HELP = "bring labelled images into the store: a folder of classes, a CSV, WebDataset tars, or the embedded data"
EPILOG = """\
SOURCE is one of
  a folder with a sub-folder of images for each class; its name is the class id (or the integer label, with --labels)
  a .csv file with the columns path and label; paths are relative to the file, labels are class ids
    (integers, with --labels)
  WebDataset tars by path or URL, with brace ranges: '/data/train-{000000..000010}.tar', s3://bucket/train-{00..10}.tar;
    they are scanned and referenced, not copied; labels are the integers in .cls, positions in --classes
    (or in the run's class list)
  the word `embedded`: the small real data sets that come with synaug

reads    SOURCE; every image is decoded once, broken ones are refused (--skip-broken: listed and skipped)
needs    a store that may be written; no model
writes   real/SPLIT-*.tar (classes interleaved by a seeded shuffle), real/SPLIT-*.json, and last real/SPLIT.json
         Run again after a kill: it begins again, nothing half-written is seen. An equal split is left as it is,
         another one refused.

example  synaug import photos/train --store /data/store --classes classes.yaml
         synaug import photos/val --store /data/store --split val --classes classes.yaml
         synaug import 's3://imagenet/train-{0000..1023}.tar' --store s3://team/synaug --classes imagenet-1k
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE")
    add_store_argument(parser, "; a folder is made if need be")
    parser.add_argument("--split", default="train", metavar="NAME", help="name of the split (default: train)")
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="class list (YAML, or imagenet-1k) that folders and labels are checked against",
    )
    labels = "folder names or CSV labels are integers, positions in the class list"
    parser.add_argument("--labels", action=argparse.BooleanOptionalAction, default=False, help=labels)
    parser.add_argument(
        "--skip-broken", action="store_true", help="list images that do not decode and go on without them"
    )
    parser.add_argument(
        "--tar-bytes", type=int, default=100_000_000, metavar="N", help="size of a tar (default: 100000000)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the interleaving (default: 0)")


def main(args: argparse.Namespace) -> None:
    """Import a split. Raises UsageError for arguments that cannot be meant, DataError for unusable images."""
    if args.tar_bytes < 1:
        raise UsageError(f"--tar-bytes {args.tar_bytes}: a tar has at least 1 byte")
    # a wrong URL is reported before SOURCE is read; a folder is made after SOURCE was found good
    open_store(args.store)
    tail = LogTail("import", args.store, layout.import_log(check_split(args.split)))
    with log_tail_on_failure(tail), end_if_stalled(Compute().stall_minutes, tail):
        _import(args)


def _import(args: argparse.Namespace) -> None:
    if args.source == "embedded":
        from synaug.embedded import datasets

        datasets.import_all(open_store(args.store, create=True))
        return
    classes = read_classes(args.classes) if args.classes else None
    packed = _tars(args, classes) if ".tar" in args.source else _files(args, classes)
    for line in packed.broken:
        print(f"skipped: {line}")
    split = packed.split
    content = f"{split.samples:,} images of {len(split.per_label)} classes in {split.tars} tars"
    skipped = f", {len(packed.broken)} broken ones skipped" if packed.broken else ""
    print(f"{args.split}: already imported: {content}" if packed.done_before else f"{args.split}: {content}{skipped}")


def _files(args: argparse.Namespace, classes: list[ClassEntry] | None) -> "Packed":
    from synaug.data import importers, split_writer

    source = Path(args.source).expanduser().absolute()
    if source.is_dir():
        images, base = importers.read_folder(source), source
    elif source.is_file() and source.suffix.lower() == ".csv":
        images, base = importers.read_csv(source), source.parent
    else:
        raise DataError(f"no folder, .csv file or tar {args.source!r} to import from (or the word `embedded`)")
    samples, ids = importers.to_samples(images, base, labels=args.labels, classes=classes)
    store = open_store(args.store, create=True)
    with _bar("images") as report:
        return split_writer.pack(
            store,
            args.split,
            samples,
            classes=ids,
            seed=args.seed,
            tar_bytes=args.tar_bytes,
            skip_broken=args.skip_broken,
            report=report,
        )


def _tars(args: argparse.Namespace, classes: list[ClassEntry] | None) -> "Packed":
    from synaug.data import importers

    urls = importers.expand(args.source)
    store = open_store(args.store, create=True)
    with _bar("tars") as report:
        return importers.reference_tars(
            store, args.split, urls, classes=classes, skip_broken=args.skip_broken, report=report
        )


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yields report(done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("import"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("import", total=None, rate="")

        def report(done: int, total: int) -> None:
            telemetry.progress()
            speed = progress.tasks[task].speed
            progress.update(task, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield report
