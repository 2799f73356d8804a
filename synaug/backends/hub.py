"""Resolve a model's name to a commit of the hub, or to the digest of a local folder.

No weights are loaded. The hub's client is imported where it is needed: a run with embedded models never needs it.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from synaug.errors import ModelError, SynaugError, TransientError, first_line

if TYPE_CHECKING:
    from huggingface_hub import CardData

Answer = TypeVar("Answer")
PAUSES = (1.0, 4.0, 10.0)  # seconds between questions to a hub that is busy or out of reach
NOT_STATED = "not stated"
OWN = "give images.model a folder or another hub name"
TOKEN = "set HF_TOKEN to a valid token whose account may read it (for gated models: accept the licence on its page)"


class FoundModel(NamedTuple):
    """What a name stands for: a commit or a digest, and the licence as far as it is stated."""

    revision: str
    license: str


def folder_digest(folder: Path) -> str:
    """Compute a SHA-256 (hex) that tells two model folders apart without reading all of their weights.

    Over names, sizes and small files' contents (configurations, weight indices), and each weight file's first and last
    MiB.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}\x1f{size}\x1f".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
            if size > 1 << 20:
                file.seek(-(1 << 20), 2)
                digest.update(file.read())
    return digest.hexdigest()


def find_model(name: str, revision: str | None, *, role: str) -> FoundModel:
    """Find a hub name or folder; role: llm, clip or diffusion, for messages.

    A cache that cannot be written, as a mounted claim, decides before the hub is asked. Raises ModelError when there is
    no such model or revision, or no right to it; TransientError while the hub does not answer.
    """
    from httpx2 import TransportError  # of the hub's own client; no OSError
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return FoundModel(f"sha256:{folder_digest(Path(name))[:16]}", "see the folder")
    wanted = f"{name}" + (f" at {revision!r}" if revision else "")
    fix = OWN if role == "diffusion" else f"give prompts.{role}.model a folder, another hub name, or `embedded`"
    if (snapshot := _find_in_read_only_cache(name, revision)) is not None:
        return FoundModel(snapshot.name, _read_license(snapshot))
    away: Exception | None = None
    try:
        if not constants.HF_HUB_OFFLINE:
            info = _ask(lambda: HfApi().model_info(name, revision=revision, timeout=20))
            return FoundModel(info.sha or "", _license_of(info.card_data))
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except (HfHubHTTPError, OSError, TransportError) as error:
        if (kind := classify_error(error)) == "denied":
            raise ModelError(f"no such model on the hub, or no right to it: {wanted}; {TOKEN}, or {fix}") from error
        if kind == "missing":
            raise ModelError(f"no such model or revision on the hub: {wanted}; {fix}") from error
        away = error  # what the cache holds decides
    try:
        snapshot = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        if away is not None:
            raise TransientError(
                f"the hub stays out of reach ({first_line(away)}) and {wanted} is not in the local cache; "
                f"run again once connected, or {fix}"
            ) from away
        raise ModelError(
            f"no such model or revision, offline: {wanted} is not in the local cache; connect once, or {fix}"
        ) from error
    return FoundModel(snapshot.name, _read_license(snapshot))


def list_files(name: str, revision: str, *, role: str) -> dict[str, int]:
    """List the files of a hub model with their bytes; of a hub that is away, those that the cache holds.

    Raises ModelError where the model may not be read, TransientError while the hub does not answer.
    """
    from httpx2 import TransportError
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    snapshot = _find_in_read_only_cache(name, revision)
    if snapshot is None and constants.HF_HUB_OFFLINE:
        snapshot = _find_snapshot(name, revision)
    if snapshot is not None:
        return {str(path.relative_to(snapshot)): path.stat().st_size for path in snapshot.rglob("*") if path.is_file()}
    try:
        info = _ask(lambda: HfApi().model_info(name, revision=revision, timeout=20, files_metadata=True))
        if info.gated:  # anybody may list a gated model; its files are for those who accepted its licence
            _ask(lambda: HfApi().auth_check(name))
    except (HfHubHTTPError, OSError, TransportError) as error:
        if (kept := _find_snapshot(name, revision)) is not None:
            return {str(path.relative_to(kept)): path.stat().st_size for path in kept.rglob("*") if path.is_file()}
        raise load_error(error, name, f"check prompts.{role}.model" if role != "diffusion" else OWN) from error
    return {file.rfilename: file.size or 0 for file in info.siblings or []}


def read_file(name: str, path: str, revision: str | None) -> bytes:
    """Read a small file of a hub model or of a model's folder. Raises ModelError, TransientError."""
    from httpx2 import TransportError
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    if Path(name).is_dir():
        if not (Path(name) / path).is_file():
            raise ModelError(f"{name}: no {path} in this folder, which a model of diffusers has; {OWN}")
        return (Path(name) / path).read_bytes()
    try:
        return Path(_ask(lambda: hf_hub_download(name, path, revision=revision))).read_bytes()
    except (HfHubHTTPError, OSError, TransportError) as error:
        if classify_error(error) == "missing":
            raise ModelError(f"{name}: no {path} on the hub, which a model of diffusers has; {OWN}") from error
        raise load_error(error, name, OWN) from error


def _find_snapshot(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def _find_in_read_only_cache(name: str, revision: str | None) -> Path | None:
    """The snapshot in a cache that cannot be written: the hub's newest commit could not be downloaded there."""
    from huggingface_hub import constants

    return None if os.access(constants.HF_HUB_CACHE, os.W_OK) else _find_snapshot(name, revision)


def _ask(question: Callable[[], Answer]) -> Answer:
    """The hub's answer, asked again after PAUSES while it is busy or out of reach."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    for pause in PAUSES:
        try:
            return question()
        except (HfHubHTTPError, OSError, TransportError) as error:
            if classify_error(error) != "transient":
                raise
            time.sleep(pause)
    return question()


def classify_error(error: BaseException | None) -> str | None:
    """Classify an error of the hub's client, or one that it caused.

    transient (out of reach, 429, 5xx), denied (401, 403) or missing (404); None: nothing of these.
    """
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    while error is not None:
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            status = error.response.status_code
            if status == 429 or status >= 500:
                return "transient"
            return {401: "denied", 403: "denied", 404: "missing"}.get(status)
        if isinstance(error, OfflineModeIsEnabled):
            return None
        if isinstance(error, (TransportError, ConnectionError, TimeoutError)):
            return "transient"
        error = error.__cause__ or error.__context__
    return None


def load_error(error: Exception, what: str, fix: str) -> SynaugError:
    """Turn a failure to load weights into ModelError, or TransientError where the hub failed meanwhile."""
    kind = classify_error(error)
    if kind == "transient":
        return TransientError(f"the hub failed while {what} was loaded ({first_line(error)}); run again")
    if kind == "denied":
        return ModelError(f"the hub refuses {what} ({first_line(error)}); {TOKEN}")
    return ModelError(f"{what} cannot be loaded: {first_line(error)}; {fix}")


def _read_license(snapshot: Path) -> str:
    """The licence that the model card states."""
    from huggingface_hub import ModelCard

    card = snapshot / "README.md"
    if not card.exists():
        return NOT_STATED
    return _license_of(ModelCard(card.read_text(), ignore_metadata_errors=True).data)


def _license_of(card: "CardData | None") -> str:
    """The licence's name; of one that the hub has no name for, the card's own."""
    stated = card.to_dict() if card else {}
    name = stated.get("license")
    return (stated.get("license_name") if name == "other" else None) or name or NOT_STATED


def is_restricted(license: str) -> bool:
    """Tell by its name whether a licence forbids common uses, so that it must be accepted: commerce, above all."""
    words = set(re.split(r"[^a-z]+", license.lower()))
    return bool(words & {"nc", "noncommercial", "research", "community"}) or "non-commercial" in license.lower()
