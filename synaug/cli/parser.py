"""What `synaug` and `python -m pipelines` share: a parser from a command's module, and what an unknown name is told."""

import argparse
from collections.abc import Iterable
from types import ModuleType

from synaug.config.suggest import did_you_mean
from synaug.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Mistakes are raised, for the one place that prints them."""

    def error(self, message):
        raise UsageError(f"{message}; `{self.prog} --help` shows what is needed")


def command_parser(prog: str, module: ModuleType) -> Parser:
    """With the module's HELP and EPILOG and --debug; its arguments are the caller's to add."""
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
    """`no command 'sumbit'; did you mean submit?; there are ...`"""
    known = list(known)
    return UsageError(f"no {what} {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
