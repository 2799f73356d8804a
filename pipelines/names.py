"""Every name of a cluster object, spelled once."""

import hashlib
import json
import re

from synaug.config import Config
from synaug.config.fields import identity_values
from synaug.errors import UsageError

RUN_LENGTH = 30
RUN = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # the training operator wants RFC 1035 labels: no digit first
ARM_LENGTH = 40
# Argo: ^[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]$ for a whole display name
ARM = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
TEMPLATES = ("run", "plan", "import", "preview", "fetch")  # the WorkflowTemplates, each `synaug-NAME`
RUN_LABEL, WORKFLOW_LABEL, STAGE_LABEL = "synaug/run", "synaug/workflow", "synaug/stage"
VERSION_ANNOTATION = "synaug/version"


def check_run(run: str) -> str:
    """Return a run's name if it can be a part of pods' names. Raises UsageError."""
    if len(run) > RUN_LENGTH or not RUN.fullmatch(run):
        raise UsageError(
            f"run {run!r} ({len(run)} characters): on a cluster a name is a DNS label of at most {RUN_LENGTH}: "
            "lower-case letters, digits and dashes, begun with a letter and not ended with a dash, like imagenet-6x"
        )
    return run


def check_arm(arm: str) -> str:
    """Return an arm's name if it can be a part of a node's name in Argo (`evaluate-ARM-SEED`). Raises UsageError.

    Argo allows less than a store does.
    """
    if len(arm) > ARM_LENGTH or not ARM.fullmatch(arm):
        raise UsageError(
            f"arm {arm!r} ({len(arm)} characters): on a cluster a name has at most {ARM_LENGTH} letters, digits, dots "
            "and dashes, begun with a letter or digit, like auxbn-6x; rename it in run.yaml"
        )
    return arm


def workflow_template(name: str) -> str:
    """Name a WorkflowTemplate of the chart; name: one of TEMPLATES."""
    return f"synaug-{name}"


def workflow(run: str, config: Config) -> str:
    """Name a run's Workflow by run and identity, without scale.

    1x and 2x of one set share the name, and the API server refuses a second live one.
    """
    text = json.dumps(identity_values(config), sort_keys=True, default=str)
    return f"{check_run(run)}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def helper_workflow(workflow: str, purpose: str) -> str:
    """Name a one-pod Workflow beside a run's; purpose: plan, preview or fetch."""
    return f"{workflow}-{purpose}"


def import_workflow(split: str) -> str:
    """Name the one-pod Workflow that imports a split."""
    return f"synaug-import-{_label(split, 40)}"


def training_job(workflow: str, arm: str, seed: int) -> str:
    """Name the PyTorchJob of an arm and seed, in at most 52 characters: `-worker-99` makes a pod's name of it."""
    return f"{workflow}-{_label(f'{arm}-{seed}', 52 - len(workflow) - 1)}"


def _label(text: str, length: int) -> str:
    """Make a DNS label of at most `length`; four hex digits distinguish what had to be changed or cut."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain == text and len(plain) <= length:
        return plain
    return f"{plain[: length - 5].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:4]}".lstrip("-")
