"""`synaug init`: run.yaml and classes.yaml for a folder of images, to be edited by hand.

What reads images (Pillow) is imported when a folder is looked at: --help starts without it.
"""

import argparse
from pathlib import Path

from synaug.errors import UsageError

HELP = "write run.yaml and classes.yaml for your own images, to be edited by hand"
EPILOG = """\
reads    SOURCE: a folder with a sub-folder of images for each class, or with train/ and val/ of such;
         or a .csv with the columns path and label
writes   run.yaml and classes.yaml in the current folder (or --into); existing ones are not overwritten
needs    nothing else: no store, no model, no network

A class id is the folder's name as a slug; the names are for prompts, so correct those that no one would say.

example  synaug init photos
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="folder of class folders, or .csv")
    parser.add_argument("--into", default=".", metavar="FOLDER", help="where the two files are written (default: here)")


def main(args: argparse.Namespace) -> None:
    """Write both files. Raises UsageError where one would be overwritten, DataError where no images are found."""
    from synaug.cli import init_files

    folder = Path(args.into)
    paths = [folder / name for name in ("run.yaml", "classes.yaml")]
    if there := [str(path) for path in paths if path.exists()]:
        raise UsageError(
            f"{' and '.join(there)} would be overwritten; move {'them' if len(there) > 1 else 'it'} away, or choose "
            "another folder with --into"
        )
    splits = init_files.find_splits(Path(args.source))
    classes = init_files.propose_classes(splits)
    folder.mkdir(parents=True, exist_ok=True)
    paths[1].write_text(init_files.classes_yaml(classes, splits))
    paths[0].write_text(init_files.run_yaml(args.source, splits))
    for line in init_files.next_steps(splits, classes, folder):
        print(line)
