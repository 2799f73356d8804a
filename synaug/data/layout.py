"""Every object key, spelled once. Keys are relative to the store's root (docs/design.md §3, Store)."""

import re

from synaug.errors import UsageError

KEY = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*")


def check_key(key: str) -> str:
    """Return the key, if it is one: parts between slashes of letters, digits, `._-`, none hidden. Raises UsageError."""
    if not KEY.fullmatch(key):
        raise UsageError(
            f"{key!r} is no object key; parts between slashes begin with a letter, digit or _ and hold those, dots and "
            "dashes"
        )
    return key


def real_split(split: str) -> str:
    """Name the list of a split's tars; it is published last, so its existence means that the split is imported."""
    return f"real/{split}.json"


def real_tar(split: str, n: int) -> str:
    return f"real/{split}-{n:06d}.tar"


def real_entry(split: str, n: int) -> str:
    """Name the TarTable of the n-th tar of a split."""
    return f"real/{split}-{n:06d}.json"


def run_folder(run: str) -> str:
    return f"runs/{run}/"


def run_yaml(run: str) -> str:
    return f"runs/{run}/run.yaml"


def plan(run: str) -> str:
    return f"runs/{run}/plan.json"


def prompts_folder(run: str) -> str:
    return f"runs/{run}/prompts/"


def prompts(run: str, class_id: str) -> str:
    return f"runs/{run}/prompts/{class_id}.json"


def synthetic_folder(run: str, multiple: int | None = None) -> str:
    return f"runs/{run}/synthetic/" + ("" if multiple is None else f"x{multiple}/")


def is_synthetic(key: str) -> bool:
    """Say whether a tar's key is that of a part, and not of a split or a URL."""
    return key.startswith("runs/") and "/synthetic/" in key


def synthetic_tar(run: str, multiple: int, shard: int, part: int) -> str:
    return f"runs/{run}/synthetic/x{multiple}/{shard:03d}-{part:04d}.tar"


def synthetic_manifest(run: str, multiple: int, shard: int, part: int) -> str:
    """Name a part's manifest; it is published after its tar, so its existence means that the part is done."""
    return f"runs/{run}/synthetic/x{multiple}/{shard:03d}-{part:04d}.json"


def timing(run: str, stage: str, unit: str) -> str:
    """Name the seconds and rates of one unit of work, kept apart from manifests, which are byte-reproducible."""
    return f"runs/{run}/timing/{stage}/{unit}.json"


def index(run: str) -> str:
    return f"runs/{run}/index.json"


def card(run: str) -> str:
    return f"runs/{run}/README.md"


def timm_info(run: str) -> str:
    return f"runs/{run}/_info.json"


def training(run: str, arm: str, seed: int, name: str) -> str:
    """Name a file of a training.

    name: settings.json, checkpoint.pt, metrics.jsonl, model.safetensors, aux.safetensors (of AuxBN), done.json
    (published last).
    """
    return f"runs/{run}/train/{arm}/{seed}/{name}"


def evaluation(run: str, arm: str, seed: int) -> str:
    return f"runs/{run}/evaluate/{arm}/{seed}.json"


def diagnostics(run: str, name: str) -> str:
    """Name a diagnosis: fidelity, coverage or branches."""
    return f"runs/{run}/diagnostics/{name}.json"


def report(run: str) -> str:
    return f"runs/{run}/report/index.html"


def log(run: str, stage: str, unit: str) -> str:
    return f"runs/{run}/logs/{stage}-{unit}.txt"


def import_log(split: str) -> str:
    """Name the log of an import, beside the runs, as it belongs to none."""
    return f"logs/import-{split}.txt"


def preview(run: str, name: str) -> str:
    return f"runs/{run}/preview/{name}"


def trainings_folder(run: str) -> str:
    return f"runs/{run}/train/"


def evaluations_folder(run: str) -> str:
    return f"runs/{run}/evaluate/"


def completion(run: str, stage: str, unit: str) -> str:
    """Written by the runner after a task of a stage that leaves no better proof of being done."""
    return f"runs/{run}/done/{stage}/{unit}.json"
