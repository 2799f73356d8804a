"""`python -m images`: build the images; with --push also push them and write a values file for the chart."""

import argparse
import sys
import time
from pathlib import Path

from images.engine import ROOT, build_secrets, find_engine
from synaug import __version__
from synaug.errors import SynaugError, UsageError

# target -> image; in this order, since the second builds on the first
TARGETS = {"control": "synaug-control", "stages": "synaug"}
VALUES = ROOT / "work" / "images-values.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Build the images; return the exit code."""
    description = (__doc__ or "").partition(":")[2].strip()
    parser = argparse.ArgumentParser(prog="python -m images", description=description)
    parser.add_argument("--push", metavar="PREFIX", help="registry and path, like registry.example.com/team")
    parser.add_argument(
        "--base",
        metavar="IMAGE",
        help="Debian or Ubuntu with python3 >= 3.11 and venv (default: in images/Containerfile)",
    )
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; repeat for more")
    args = parser.parse_args(arguments)
    try:
        build(args.target or list(TARGETS), push=args.push, base=args.base)
    except SynaugError as error:
        print(f"images: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def build(targets: list[str], *, push: str | None = None, base: str | None = None) -> None:
    """Build and push images. Raises UsageError for a prefix that is none, and what the engine raises."""
    prefix = (push or "localhost").rstrip("/")
    if "://" in prefix or prefix != prefix.lower() or " " in prefix:
        raise UsageError(
            f"PUSH={push}: a registry and path in lower case without a scheme, like registry.example.com/team"
        )
    engine = find_engine()
    digests: dict[str, str] = {}
    for target in (each for each in TARGETS if each in targets):
        tag, begun = f"{prefix}/{TARGETS[target]}:{__version__}", time.monotonic()
        with build_secrets() as secrets:
            engine.build(target, tag, base=base, secrets=secrets)
        print(f"{tag}: built by {engine.name} in {time.monotonic() - begun:.0f} s", flush=True)
        if push:
            digests[target] = engine.push(tag)
            print(f"{tag}: pushed, {digests[target]}", flush=True)
    if digests:
        write_values(VALUES, prefix, digests)
        path = VALUES.relative_to(ROOT)
        print(f"{path}: give it to helm: helm upgrade --install synaug helm/synaug -f {path} ...")


def write_values(path: Path, prefix: str, digests: dict[str, str]) -> None:
    """Write the digests of the pushed images as values of the chart.

    The small image alone is no whole release: then the rest is left as it is.
    """
    lines = ["# Written by make images PUSH=...; for helm -f.", "image:"]
    for target, digest in digests.items():
        indent = "  " if target == "stages" else "    "
        lines += ["  control:"] if target == "control" else []
        lines += [
            f"{indent}repository: {prefix}/{TARGETS[target]}",
            f'{indent}tag: "{__version__}"',
            f"{indent}digest: {digest}",
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
