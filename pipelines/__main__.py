"""The command line on a cluster: `python -m pipelines COMMAND`, behind the Makefile's targets and in pods."""

import argparse
import importlib
import importlib.util
import os
import signal
import sys
import traceback
from types import ModuleType

from synaug.cli.parser import command_parser, unknown
from synaug.errors import INTERNAL, INTERRUPTED, TERMINATED, UsageError, describe
from synaug.run.outputs import leave_line

PEOPLE = ("import", "preview", "plan", "submit", "watch", "stop", "logs", "fetch-report", "render")
PODS = ("launch", "finish", "fetch")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else ""
    if name in PODS:  # a process that dies of SIGTERM itself looks like 137 to Argo
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        require_cluster_packages()
        if name in ("", "-h", "--help"):
            print(overview())
            return 0
        parser = parser_of(name)
        _module(name).main(parser.parse_intermixed_args(arguments[1:]))
        return 0
    except KeyboardInterrupt:
        print(f"\n{name}: {getattr(_module(name), 'INTERRUPTED', 'interrupted')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `... logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        code, line = describe(error)
        if "--debug" in arguments or (name in PODS and code == INTERNAL):
            traceback.print_exc()
        print(f"{name if name in (*PEOPLE, *PODS) else 'pipelines'}: {line}", file=sys.stderr, flush=True)
        if name in PODS:
            leave_line(line)
        return code


def require_cluster_packages() -> None:
    """Check for the packages of the extra `cluster`, which `pip install synaug` leaves out; raises UsageError."""
    if missing := [name for name in ("hera", "kubernetes") if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"{' and '.join(missing)} not installed, which `python -m pipelines` needs; "
            "pip install 'synaug[cluster]', or in a checkout make setup"
        )


def overview() -> str:
    """List the commands."""
    lines = ["synaug on Kubernetes: `make help` lists the targets that call these", "", "for people:"]
    lines += [f"  {name:<13} {_module(name).HELP}" for name in PEOPLE]
    lines += ["", "in pods:"]
    lines += [f"  {name:<13} {_module(name).HELP}" for name in PODS]
    lines += ["", "`python -m pipelines NAME --help` says what each reads, writes and needs. --debug shows tracebacks."]
    return "\n".join(lines)


def _module(name: str) -> ModuleType:
    if name in (*PEOPLE, *PODS):
        module = "import_" if name == "import" else name.replace("-", "_")
        return importlib.import_module(f"pipelines.commands.{module}")
    raise unknown("command", name, [*PEOPLE, *PODS])


def parser_of(name: str) -> argparse.ArgumentParser:
    """Make the argument parser of one command."""
    module = _module(name)
    parser = command_parser(f"python -m pipelines {name}", module)
    module.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
