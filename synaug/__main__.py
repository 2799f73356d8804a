"""The command line: `python -m synaug STAGE --store URL --run NAME ...`, the one entry everywhere (docs/design.md §3)."""

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
import traceback

from synaug.cli.parser import command_parser, unknown
from synaug.data.store import add_store_argument
from synaug.errors import INTERRUPTED, TERMINATED, describe, end_process

COMMANDS = ("init", "import", "preview", "run", "study", "status", "show", "diagnose", "config")
STAGES = {  # what each needs beside --store and --run
    "plan": None,
    "prompts": ("shard",),
    "images": ("shard",),
    "index": (),
    "train": ("arm", "seed"),
    "evaluate": ("arm", "seed"),
    "report": ("join",),
}
FINISH_SECONDS = 5  # that a SIGTERM leaves for an orderly end


def main(arguments: list[str] | None = None) -> int:
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
        prefix = f"synaug {name}" if name in (*STAGES, *COMMANDS) else "synaug"
        print(f"{prefix}: {line}", file=sys.stderr, flush=True)
        from synaug.run.outputs import leave_line

        leave_line(line)
        if "TORCHELASTIC_RUN_ID" in os.environ:
            end_process(code, line)
        return code


def _terminate(signum, frame):
    """SIGTERM: unwind, so that workers and temporary files go; at the latest after FINISH_SECONDS the process ends anyhow."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    timer = threading.Timer(FINISH_SECONDS, os._exit, [TERMINATED])
    timer.daemon = True
    timer.start()
    raise SystemExit(TERMINATED)


def overview() -> str:
    """`synaug --help`."""
    lines = [
        "synaug: scale an image-classification training set with synthetic images, train on the mix",
        "",
        "commands:",
    ]
    lines += [f"  {name:<9} {_module(name).HELP}" for name in COMMANDS]
    lines += ["", "stages, in order (`run` does them all):"]
    lines += [f"  {name:<9} {_module(name).HELP}" for name in STAGES]
    lines += [
        "",
        "`synaug NAME --help` says what each reads, writes and needs, with an example.",
        "--debug shows tracebacks.",
    ]
    return "\n".join(lines)


def _module(name: str):
    if name in STAGES:
        return importlib.import_module(f"synaug.stages.{name}")
    if name in COMMANDS:
        return importlib.import_module(f"synaug.cli.{'import_' if name == 'import' else name}")
    raise unknown("stage or command", name, [*STAGES, *COMMANDS])


def parser_of(name: str) -> argparse.ArgumentParser:
    """The argument parser of one stage or command."""
    module = _module(name)
    parser = command_parser(f"synaug {name}", module)
    needs = STAGES.get(name)
    if needs is None:
        module.add_arguments(parser)
        return parser
    add_store_argument(parser)
    parser.add_argument("--run", required=True, metavar="NAME", help="name of a planned run")
    if "shard" in needs:
        parser.add_argument("--shard", required=True, type=int, metavar="N", help="class shard, from 0")
    if "arm" in needs:
        parser.add_argument("--arm", required=True, metavar="NAME", help="arm of the run")
        parser.add_argument("--seed", required=True, type=int, metavar="N", help="training seed of the run")
    if name == "train":
        parser.add_argument(
            "--nproc-per-node", type=int, metavar="N", help="train with N processes here, one a GPU, by torchrun"
        )
    if "join" in needs:
        parser.add_argument(
            "--join", action="append", default=[], metavar="RUN", help="show this run's results beside; repeat for more"
        )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="FIELD=VALUE",
        help="execution setting of this command, like compute.device=cuda",
    )
    return parser


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
    if STAGES.get(name) is None:
        _module(name).main(args)
        return
    from synaug import telemetry
    from synaug.run.job import Task
    from synaug.run.progress import LineReporter
    from synaug.runner.execute import execute

    given = {need: getattr(args, need) for need in STAGES[name] if need != "join"}
    task = Task(stage=name, join=tuple(getattr(args, "join", ())), **given)
    if (processes := getattr(args, "nproc_per_node", None)) is not None:
        from synaug.runner.torchrun import train

        train(task, args.store, args.run, args.overrides, processes)
        return
    telemetry.serve()
    execute(task, args.store, args.run, args.overrides, LineReporter())


if __name__ == "__main__":
    sys.exit(main())
