"""The weight files of a run's models: which ones are used, how much of them is still to download, and fetching them.

Only the files that are loaded are fetched, at the planned commit, once, before anything is loaded. No torch here: plan
passes through.
"""

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from synaug import telemetry
from synaug.backends import hub
from synaug.config import Config
from synaug.errors import DataError, ModelError
from synaug.run.job import Progress
from synaug.run.plan import ModelInfo

HUB_PREFIX = "hf-hub:"  # open_clip's
DOWNLOADS = 4  # files at once
SPARE = 1 << 30  # bytes that are left free on the disk
TEXT = {".json", ".txt", ".model", ".jinja", ".tiktoken"}  # configurations and tokenizers
# As open_clip looks for them.
CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
# Components that are left out, unless they are asked for.
UNUSED = {"safety_checker"}


@dataclass(frozen=True)
class WeightFiles:
    """The files of a model that are loaded, with their bytes. variant: of diffusers' file names, like fp16."""

    model: ModelInfo
    repository: str  # on the hub
    files: Mapping[str, int]
    variant: str | None = None

    @property
    def bytes(self) -> int:
        return sum(self.files.values())

    def missing(self) -> dict[str, int]:
        """Return those that the local cache does not hold."""
        from huggingface_hub import try_to_load_from_cache

        return {
            path: size
            for path, size in self.files.items()
            if not isinstance(try_to_load_from_cache(self.repository, path, revision=self.model.revision), str)
        }


def find_weights(config: Config, model: ModelInfo) -> WeightFiles | None:
    """Find the files of a model on the hub, at the commit of `model`; None for a folder and for what ships with synaug.

    What was fetched before is known without asking. Raises ModelError, TransientError.
    """
    repository, wanted = _repository(config, model)
    if repository is None or Path(repository).exists():
        return None
    record = _record(repository, model, wanted)
    if (known := _read_record(record)) is not None:
        return WeightFiles(model, repository, known["files"], known["variant"])
    listed = hub.list_files(repository, model.revision, role=model.role)
    index = (
        json.loads(hub.read_file(repository, "model_index.json", model.revision)) if model.role == "diffusion" else {}
    )
    files, variant = _select(model.role, listed, index, wanted)
    return WeightFiles(model, repository, {path: listed[path] for path in files}, variant)


def fetch_weights(
    config: Config, model: ModelInfo, report: Callable[[Progress], None] = lambda progress: None
) -> WeightFiles | None:
    """Download what is missing of a model, and return its files; None where there is nothing to download, ever.

    Raises DataError for a disk that is too small, before anything is downloaded; ModelError, TransientError.
    """
    weights = find_weights(config, model)
    if weights is None:
        return None
    missing = weights.missing()
    if missing:
        _check_disk(weights, sum(missing.values()))
        _download(weights, missing, report)
    _write_record(_record(weights.repository, model, _repository(config, model)[1]), weights)
    return weights


def weights_folder(weights: WeightFiles) -> Path:
    """Find the snapshot in the local cache that holds fetched files. Raises ModelError where it is gone."""
    from huggingface_hub import try_to_load_from_cache

    first = next(iter(weights.files))
    path = try_to_load_from_cache(weights.repository, first, revision=weights.model.revision)
    if not isinstance(path, str):
        raise ModelError(f"{weights.repository}: {first} is not in the local cache any more; run again to fetch it")
    return Path(path.removesuffix(first))


def describe_downloads(config: Config, models: Collection[ModelInfo]) -> str | None:
    """Say what is still to download and where to, or that the disk is too small; None for nothing."""
    found = [(weights, weights.missing()) for model in models if (weights := find_weights(config, model))]
    todo = [(weights.model.name, sum(missing.values())) for weights, missing in found if missing]
    if not todo:
        return None
    folder, total = _cache(), sum(size for _, size in todo)
    free = shutil.disk_usage(_existing(folder)).free
    line = f"to download: {', '.join(f'{name} {gigabytes(size)}' for name, size in todo)}, to {folder}"
    if free < total + SPARE:
        line += f", where only {gigabytes(free)} is free: make room, or set HF_HOME to another disk"
    return line


def gigabytes(size: int) -> str:
    """Write bytes for people: 340 MB, 1.7 GB, 57 GB."""
    if size < 1e9:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.2g} GB" if size < 10e9 else f"{size / 1e9:.0f} GB"


def _repository(config: Config, model: ModelInfo) -> tuple[str | None, str]:
    """The model's repository, and what is wanted of it (a file, or the kind of files), which tells records apart."""
    if model.role == "diffusion":
        wide = config.images.dtype == "float32"
        wanted = f"{'float32' if wide else 'half'}{' safety_checker' if config.images.safety_checker else ''}"
        return (model.name if len(model.revision) == 40 else None), wanted
    if model.role == "llm":
        return (model.name if len(model.revision) == 40 else None), ""
    settings = config.prompts.clip
    if settings.model.startswith(HUB_PREFIX):
        return settings.model.removeprefix(HUB_PREFIX), ""
    if settings.model == "embedded" or settings.pretrained is None:
        return None, ""
    from open_clip.pretrained import get_pretrained_cfg

    tag = get_pretrained_cfg(settings.model, settings.pretrained) or {}
    name, _, file = (tag.get("hf_hub") or "").rpartition("/")
    return name or None, file or CLIP_FILES[0]


def _select(role: str, listed: Collection[str], index: Mapping[str, Any], wanted: str) -> tuple[list[str], str | None]:
    """The files that loading takes: as exact as diffusers, transformers and open_clip themselves would choose."""
    if role == "diffusion":
        return _select_pipeline(listed, index, wanted)
    if role == "clip":
        names = [wanted] if wanted and wanted in listed else [name for name in CLIP_FILES if name in listed][:1]
        if wanted.endswith((".bin", ".pt")) and (safe := _safe_alternative(wanted)) in listed:
            names = [safe]
        if not wanted:
            names += [path for path in listed if "/" not in path and PurePosixPath(path).suffix in TEXT]
        return names, None
    weights = _weights(listed, "model")
    return [*weights, *(path for path in listed if "/" not in path and PurePosixPath(path).suffix in TEXT)], None


def _select_pipeline(listed: Collection[str], index: Mapping[str, Any], wanted: str) -> tuple[list[str], str | None]:
    files = ["model_index.json"]
    halved = False
    for component, value in index.items():
        if not isinstance(value, list) or value[0] is None:
            continue  # a setting, or a component that this model goes without
        if component in UNUSED and component not in wanted:
            continue
        inside = [path for path in listed if path.startswith(f"{component}/") and path.count("/") == 1]
        files += [path for path in inside if PurePosixPath(path).suffix in TEXT and ".index." not in path]
        half = [] if wanted.startswith("float32") else _weights(inside, None, "fp16")
        halved = halved or bool(half)
        files += half or _weights(inside, None)
    return list(dict.fromkeys(files)), "fp16" if halved else None


def _weights(listed: Collection[str], stem: str | None, variant: str | None = None) -> list[str]:
    """The weight files of one folder: safetensors where there are any, of a variant or of none; with their index.

    Names are like model.safetensors, model.fp16.safetensors, model-00001-of-00002.safetensors,
    model.fp16-00001-of-00002.safetensors and model.safetensors.index.fp16.json.
    """
    found: dict[str, list[str]] = {".safetensors": [], ".bin": []}
    for path in listed:
        name = PurePosixPath(path).name
        if stem is not None and ("/" in path or not name.startswith((stem, "pytorch_model"))):
            continue
        for suffix in found:
            if name.endswith(suffix):
                of = next((part.split("-")[0] for part in name.split(".")[1:-1]), None)
                if of == variant or (of is not None and variant is None and of.isdigit()):
                    found[suffix].append(path)
            elif f"{suffix}.index." in name and name.endswith(".json"):
                of = name.removesuffix(".json").rpartition(".index")[2].lstrip(".") or None
                if of == variant:
                    found[suffix].append(path)
    return found[".safetensors"] or found[".bin"]


def _safe_alternative(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".safetensors"))


def _download(weights: WeightFiles, missing: Mapping[str, int], report: Callable[[Progress], None]) -> None:
    from httpx2 import TransportError
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError
    from tqdm.auto import tqdm

    total, done, lock = sum(missing.values()), 0, Lock()

    class Bar(tqdm):
        """Hears of each piece that arrives; draws nothing."""

        def __init__(self, *arguments: Any, **settings: Any):
            super().__init__(*arguments, **settings | {"disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            with lock:
                done += int(n or 0)
                telemetry.beat()
                report(Progress("weights", weights.model.name, done // 1_000_000, -(-total // 1_000_000), "megabyte"))

    def fetch(path: str) -> None:
        hf_hub_download(weights.repository, path, revision=weights.model.revision, tqdm_class=Bar)
        telemetry.beat()

    try:
        with ThreadPoolExecutor(DOWNLOADS, "weights") as pool:
            list(pool.map(fetch, missing))
    except (HfHubHTTPError, TransportError, OSError, ValueError) as error:
        raise hub.load_error(error, weights.repository, "check the name and the connection, and run again") from error


def _check_disk(weights: WeightFiles, size: int) -> None:
    folder = _cache()
    free = shutil.disk_usage(_existing(folder)).free
    if free < size + SPARE:
        raise DataError(
            f"{weights.repository} takes {gigabytes(size)} more in {folder}, where {gigabytes(free)} is free; make "
            "room, set HF_HOME to another disk, or take a smaller model"
        )


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _record(repository: str, model: ModelInfo, wanted: str) -> Path:
    """Where the list of a model's files is kept, beside the hub's own cache of it."""
    name = "--".join([repository.replace("/", "--"), model.revision, *wanted.replace("/", "--").split()])
    return _cache() / ".synaug" / f"{name}.json"


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _write_record(path: Path, weights: WeightFiles) -> None:
    if path.exists() or not os.access(_existing(path.parent), os.W_OK):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps({"files": dict(weights.files), "variant": weights.variant}, indent=1))
    written.rename(path)
