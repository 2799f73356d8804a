"""The command line, `python -m synaug STAGE --store URL ...`: the one entry everywhere (docs/design.md §3).

torchrun is imported where it starts: it loads torch, and --help, as most commands, does without.
"""

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from types import FrameType, ModuleType

from synaug import telemetry
from synaug.cli.parser import (
    add_override_arguments,
    add_run_argument,
    add_store_argument,
    add_task_arguments,
    command_parser,
    unknown,
)
from synaug.errors import INTERRUPTED, TERMINATED, describe, end_process
from synaug.run.outputs import leave_line
from synaug.run.progress import LineReporter
from synaug.run.stages import STAGES, Task
from synaug.runner.execute import execute

COMMANDS = ("init", "import", "preview", "run", "study", "status", "show", "diagnose", "config")
PLAN = "plan"  # a stage to people, and the one that makes the run that the others are of
FINISH_SECONDS = 5  # that a SIGTERM leaves for an orderly end


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _terminate)
    name = arguments[0] if arguments else ""
    try:
        if name in ("", "-h", "--help"):
            print(overview())
            return 0
        _run(name, arguments[1:])
        return 0
    except KeyboardInterrupt:
        print(f"synaug {name}: interrupted; run it again to go on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `synaug status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        code, line = describe(error)
        prefix = f"synaug {name}" if name in (*stage_names(), *COMMANDS) else "synaug"
        print(f"{prefix}: {line}", file=sys.stderr, flush=True)
        leave_line(line)
        if "TORCHELASTIC_RUN_ID" in os.environ:
            end_process(code, line)
        return code


def stage_names() -> list[str]:
    """Name the stages as people know them, in order."""
    return [PLAN, *STAGES]


def overview() -> str:
    """Return what `synaug --help` prints."""
    lines = [
        "synaug: scale an image-classification training set with synthetic images, train on the mix",
        "",
        "commands:",
    ]
    lines += [f"  {name:<9} {_module(name).HELP}" for name in COMMANDS]
    lines += ["", "stages, in order (`run` does them all):"]
    lines += [f"  {name:<9} {_module(name).HELP}" for name in stage_names()]
    lines += [
        "",
        "`synaug NAME --help` says what each reads, writes and needs, with an example.",
        "--debug shows tracebacks.",
    ]
    return "\n".join(lines)


def parser_of(name: str) -> argparse.ArgumentParser:
    """Make the argument parser of one stage or command."""
    module = _module(name)
    parser = command_parser(f"synaug {name}", module)
    if name not in STAGES:
        module.add_arguments(parser)
        return parser
    add_store_argument(parser)
    add_run_argument(parser)
    add_task_arguments(parser, STAGES[name].scope)
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    add_override_arguments(parser)
    return parser


def _terminate(signum: int, frame: FrameType | None) -> None:
    """SIGTERM: unwind, so that workers and temporary files go; after FINISH_SECONDS the process ends anyhow."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    timer = threading.Timer(FINISH_SECONDS, os._exit, [TERMINATED])
    timer.daemon = True
    timer.start()
    raise SystemExit(TERMINATED)


def _module(name: str) -> ModuleType:
    if name in STAGES:
        return importlib.import_module(f"synaug.stages.{name}")
    if name in (PLAN, *COMMANDS):
        return importlib.import_module(f"synaug.cli.{'import_' if name == 'import' else name}")
    raise unknown("stage or command", name, [*stage_names(), *COMMANDS])


def _log_warnings() -> None:
    """Warnings go to stderr, a line each; what is below them only to the log of a failure."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


def _run(name: str, arguments: list[str]) -> None:
    parser = parser_of(name)
    args = parser.parse_intermixed_args(arguments)
    _log_warnings()
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own bars; ours are in progress.py
    if name in STAGES:
        _run_stage(name, args)
    else:
        _module(name).main(args)


def _run_stage(name: str, args: argparse.Namespace) -> None:
    task = Task(
        stage=name,
        shard=getattr(args, "shard", None),
        arm=getattr(args, "arm", None),
        seed=getattr(args, "seed", None),
        join=tuple(getattr(args, "join", ())),
    )
    if (processes := getattr(args, "nproc_per_node", None)) is not None:
        from synaug.runner.torchrun import train

        train(task, args.store, args.run, args.overrides, processes)
        return
    telemetry.serve()
    execute(task, args.store, args.run, args.overrides, LineReporter())


if __name__ == "__main__":
    sys.exit(main())
