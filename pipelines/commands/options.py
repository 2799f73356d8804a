"""What the commands for people share: CONFIG, RUN, SCALE, NAMESPACE, KUBECONTEXT of the Makefile."""

import argparse
import re
from pathlib import Path

from pipelines import names
from pipelines.api import client, submission, workflow_request
from pipelines.api.kubeconfig import Target
from pipelines.api.run_reference import NAMESPACE, RunReference
from synaug.config.load import PRESETS, dump_config, load_config
from synaug.config.scale import parse_scale
from synaug.errors import UsageError

CONFIG = Path("run.yaml")
DEVELOPMENT_PRESET = "cluster"


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a cluster."""
    parser.add_argument(
        "--namespace", metavar="NAME", help=f"namespace that synaug is installed in (default: {NAMESPACE})"
    )
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: its current one)")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a run in a cluster."""
    add_cluster(parser)
    parser.add_argument(
        "--config", metavar="FILE", help=f"a run.yaml or a preset: {', '.join(PRESETS)} (default: {CONFIG}, if there)"
    )
    parser.add_argument(
        "--run", metavar="NAME", help="name of the run (default: the name of run.yaml's folder or of the preset)"
    )


def add_planned(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a run and its configuration."""
    add_run(parser)
    parser.add_argument("--scale", metavar="KX", help="synthetic images for each real one, like 6x; short for scale=6x")
    parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE", help="replaces a field of run.yaml; `synaug config` lists them"
    )


def connect(args: argparse.Namespace) -> client.Cluster:
    """Open the cluster that the arguments name.

    Raises UsageError; what cannot be meant is refused before a cluster is looked for.
    """
    if getattr(args, "scale", None):
        parse_scale(args.scale)
    if getattr(args, "run", None):
        names.check_run(args.run)
    return client.connect(args.namespace or NAMESPACE, args.context)


def read_reference(args: argparse.Namespace, target: Target) -> RunReference:
    """Read the run and configuration that the arguments name. Raises UsageError, before the cluster is asked."""
    overrides = [*args.overrides, *([f"scale={args.scale}"] if args.scale else [])]
    source = source_of(args.config, target)
    run = args.run or default_run(source)
    config = load_config(source, overrides)
    for arm in config.arms:
        names.check_arm(arm)
    text = dump_config(config)
    workflow_request.check("config", text)
    return RunReference(run=run, config=config, text=text)


def source_of(config: str | None, target: Target) -> str:
    """Decide on a file or a preset's name: --config, else run.yaml here. Raises UsageError where there is neither."""
    if config:
        return config
    if CONFIG.is_file():
        return str(CONFIG)
    if target.development:
        return DEVELOPMENT_PRESET
    raise UsageError(
        f"no configuration: there is no {CONFIG} here (`synaug init` writes one); give CONFIG=FILE or a preset, "
        f"CONFIG={'|'.join(PRESETS)}"
    )


def default_run(source: str) -> str:
    """Make a run's name of the preset's or the folder's: a DNS label of at most 30 characters. Raises UsageError."""
    name = source if source in PRESETS else Path(source).resolve().parent.name
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[: names.RUN_LENGTH].rstrip("-")
    if not label:
        raise UsageError(f"no run's name can be made of folder {name!r}; give RUN=NAME")
    return label


def run_name(args: argparse.Namespace, target: Target) -> str | None:
    """Name the run to look at: RUN, else the name that the configuration gives, else None (the newest)."""
    if args.run:
        return args.run
    if args.config or CONFIG.is_file() or target.development:
        return default_run(source_of(args.config, target))
    return None


def existing_run(cluster: client.Cluster, args: argparse.Namespace) -> str:
    """Name the run to look at, as run_name does; where nothing names one, the newest run in the namespace.

    Raises DataError where there is none.
    """
    return run_name(args, cluster.target) or submission.newest_run(cluster, None)["metadata"]["labels"][names.RUN_LABEL]
