"""Command-line parsers: how one is made from a command's module, shared arguments, the message for an unknown name.

`python -m pipelines` makes its parsers here too.
"""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from synaug.config import Config
from synaug.config.load import PRESETS, load_config
from synaug.config.scale import parse_scale
from synaug.config.suggest import did_you_mean
from synaug.errors import UsageError
from synaug.run.stages import Scope

PRESET_NAMES = f"{', '.join(PRESETS[:-1])} or {PRESETS[-1]}"
EXECUTION_SETTING = "execution setting of this command, like compute.device=cuda"


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError for a mistake, so that errors are printed in one place only."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what is needed")


def command_parser(prog: str, module: ModuleType) -> Parser:
    """Make a parser with the module's HELP and EPILOG and --debug; its arguments are the caller's to add."""
    parser = Parser(
        prog=prog,
        description=module.HELP[0].upper() + module.HELP[1:] + ".",
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Answer an unknown name: `no command 'sumbit'; did you mean submit?; there are ...`."""
    known = list(known)
    return UsageError(f"no {what} {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")


def add_store_argument(parser: argparse.ArgumentParser, note: str = "") -> None:
    """Add --store URL, by default what the variable SYNAUG_STORE says."""
    default = os.environ.get("SYNAUG_STORE")
    parser.add_argument(
        "--store",
        required=default is None,
        default=default,
        metavar="URL",
        help=f"folder, file:// or s3://bucket/prefix{note}; by default what SYNAUG_STORE says",
    )


def add_run_argument(parser: argparse.ArgumentParser, meaning: str = "name of a planned run") -> None:
    """Add --run NAME."""
    parser.add_argument("--run", required=True, metavar="NAME", help=meaning)


def add_task_arguments(parser: argparse.ArgumentParser, scope: Scope) -> None:
    """Add what says which task of a stage is meant: --shard, or --arm and --seed, or nothing."""
    if scope is Scope.SHARD:
        parser.add_argument("--shard", required=True, type=int, metavar="N", help="class shard, from 0")
    if scope is Scope.TRAINING:
        parser.add_argument("--arm", required=True, metavar="NAME", help="arm of the run")
        parser.add_argument("--seed", required=True, type=int, metavar="N", help="training seed of the run")


def add_override_arguments(parser: argparse.ArgumentParser, meaning: str = EXECUTION_SETTING) -> None:
    """Add FIELD=VALUE, any number of them."""
    parser.add_argument("overrides", nargs="*", metavar="FIELD=VALUE", help=meaning)


def add_configuration_arguments(parser: argparse.ArgumentParser, file: str, *, required: bool) -> None:
    """Add --config or --preset, --scale and FIELD=VALUE, which `configured` reads. file: what --config is."""
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--config", metavar="FILE", help=file)
    source.add_argument("--preset", metavar="NAME", help=PRESET_NAMES)
    parser.add_argument("--scale", metavar="KX", help="synthetic images for each real one, like 6x; short for scale=6x")
    add_override_arguments(parser, "replaces a field of run.yaml; `synaug config` lists them")


def configured(args: argparse.Namespace) -> Config:
    """Load the configuration that a command line asks for. Raises UsageError."""
    overrides = list(args.overrides)
    if args.scale is not None:
        parse_scale(args.scale)
        overrides.append(f"scale={args.scale}")
    if args.preset is not None:
        if args.preset not in PRESETS:
            raise UsageError(f"there is no preset {args.preset!r}; presets: {', '.join(PRESETS)}")
        return load_config(args.preset, overrides)
    return load_config(Path(args.config), overrides)
