"""What the commands for people share: CONFIG, RUN, SCALE, NAMESPACE, KUBECONTEXT of the Makefile."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines import names
from pipelines.api import workflow_request
from pipelines.api.kubeconfig import Target
from synaug.config import Config
from synaug.config.load import PRESETS, dump_config, load_config
from synaug.config.scale import parse_scale
from synaug.errors import UsageError

NAMESPACE = "synaug"
CONFIG = Path("run.yaml")
DEVELOPMENT_PRESET = "cluster"


def add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--namespace", metavar="NAME", help=f"namespace that synaug is installed in (default: {NAMESPACE})"
    )
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: its current one)")


def add_run(parser: argparse.ArgumentParser) -> None:
    add_cluster(parser)
    parser.add_argument(
        "--config", metavar="FILE", help=f"a run.yaml or a preset: {', '.join(PRESETS)} (default: {CONFIG}, if there)"
    )
    parser.add_argument(
        "--run", metavar="NAME", help="name of the run (default: the name of run.yaml's folder or of the preset)"
    )


def add_planned(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--scale", metavar="KX", help="synthetic images for each real one, like 6x; short for scale=6x")
    parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE", help="replaces a field of run.yaml; `synaug config` lists them"
    )


@dataclass(frozen=True)
class Job:
    """A run and its configuration. text: run.yaml whole, at most 64 KiB; workflow: the Workflow's name."""

    run: str
    config: Config
    text: str

    @property
    def workflow(self) -> str:
        return names.workflow(self.run, self.config)


def connect(args: argparse.Namespace):
    """The cluster that the arguments name. What cannot be meant is refused before one is looked for. Raises UsageError."""
    from pipelines.api import client

    if getattr(args, "scale", None):
        parse_scale(args.scale)
    if getattr(args, "run", None):
        names.check_run(args.run)
    return client.connect(args.namespace or NAMESPACE, args.context)


def read_job(args: argparse.Namespace, target: Target) -> Job:
    """Raises UsageError, before the cluster is asked for anything."""
    overrides = [*args.overrides, *([f"scale={args.scale}"] if args.scale else [])]
    source = source_of(args.config, target)
    run = args.run or default_run(source)
    config = load_config(source, overrides)
    for arm in config.arms:
        names.check_arm(arm)
    text = dump_config(config)
    workflow_request.check("config", text)
    return Job(run, config, text)


def source_of(given: str | None, target: Target) -> str:
    """A file or a preset's name. Raises UsageError."""
    if given:
        return given
    if CONFIG.is_file():
        return str(CONFIG)
    if target.development:
        return DEVELOPMENT_PRESET
    raise UsageError(
        f"no configuration: there is no {CONFIG} here (`synaug init` writes one); give CONFIG=FILE or a preset, CONFIG={'|'.join(PRESETS)}"
    )


def default_run(source: str) -> str:
    """The preset's or the folder's name as a DNS label of at most 30 characters."""
    name = source if source in PRESETS else Path(source).resolve().parent.name
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[: names.RUN_LENGTH].rstrip("-")
    if not label:
        raise UsageError(f"no run's name can be made of folder {name!r}; give RUN=NAME")
    return label


def run_name(args: argparse.Namespace, target: Target) -> str | None:
    """For commands that look at what runs: RUN, else the name that the configuration gives, else None (the newest)."""
    if args.run:
        return args.run
    if args.config or CONFIG.is_file() or target.development:
        return default_run(source_of(args.config, target))
    return None


def existing_run(cluster, args: argparse.Namespace) -> str:
    """As run_name; where nothing names one, the newest run in the namespace. Raises DataError where there is none."""
    from pipelines.api import submission

    return run_name(args, cluster.target) or submission.newest_run(cluster, None)["metadata"]["labels"][names.RUN_LABEL]


def targets(cluster, run: str) -> str:
    """`RUN=first NAMESPACE=team`: how another target of the Makefile finds the same run."""
    at = f" NAMESPACE={cluster.namespace}" if cluster.namespace != NAMESPACE else ""
    return f"RUN={run}{at}" + (f" KUBECONTEXT={cluster.target.context}" if cluster.target.context else "")
