"""`python -m pipelines fetch`: one small object of the store, through a pod's log to a person without access to it."""

import argparse

from pipelines.operations.log_transfer import encode, key_of
from synaug.data.store import open_store

HELP = "print one small object of the store as text that `make fetch-report` and `make logs` read back"
EPILOG = """\
reads    runs/NAME/report/index.html (report), preview/contact-sheet.png (preview) or logs/STAGE-UNIT.txt
         (logs/STAGE-UNIT)
writes   it to the log, gzip and base64 between two marker lines
needs    nothing else; people use `make fetch-report`, `make preview`, `make logs SHARD=17`"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, metavar="URL", help="s3://bucket/prefix")
    parser.add_argument("--run", required=True, metavar="NAME", help="name of the run")
    parser.add_argument(
        "--what", required=True, metavar="WHAT", help="report, preview, or logs/STAGE-UNIT like logs/images-017"
    )


def main(args: argparse.Namespace) -> None:
    """Print the object. Raises DataError where there is no such object, or it is too large for a log."""
    store, key = open_store(args.store), key_of(args.run, args.what)
    for line in encode(key, store.get(key)):
        print(line)
