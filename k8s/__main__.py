"""python -m k8s up | install | down | status | tools: the development cluster on this machine (k8s/README.md)."""

import argparse
import sys

from k8s import cluster
from k8s.settings import ADDRESSES, Settings
from synaug.errors import SynaugError


def parser() -> argparse.ArgumentParser:
    """Make the argument parser."""
    root = argparse.ArgumentParser(
        prog="python -m k8s", description="Kubernetes on this Linux machine, as root, without Docker"
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up", help="boot, with Argo, the training operator, an S3 server and synaug; again: only what is missing"
    )
    up.add_argument(
        "--addresses",
        default=ADDRESSES,
        help=f"an unused IPv4 network for node, pods and services (default {ADDRESSES})",
    )
    commands.add_parser("install", help="on a cluster that is up: image and chart again, from this checkout")
    commands.add_parser("down", help="stop, and leave the machine as it was; the tools and images stay cached")
    commands.add_parser("status", help="what runs; exit code 0 when all does")
    commands.add_parser("tools", help="build the programs, without booting")
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        settings = Settings(addresses=options.addresses) if options.command == "up" else Settings()
        return getattr(cluster, options.command)(settings) or 0
    except SynaugError as error:
        print(f"k8s: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            f"\nk8s {options.command}: interrupted; python -m k8s up goes on, python -m k8s down cleans up",
            file=sys.stderr,
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
