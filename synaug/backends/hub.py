"""A model's name to what it is: a commit of the hub, or the digest of a local folder. Nothing heavy is loaded."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synaug.errors import ModelError, SynaugError, TransientError

PAUSES = (1.0, 4.0, 10.0)  # seconds between questions to a hub that is busy or out of reach
TOKEN = "set HF_TOKEN to a valid token whose account may read it (for gated models: accept the licence on its page)"


def folder_digest(folder: Path) -> str:
    """Over names, sizes and small files' contents (configurations, weight indices), and each weight file's first and last MiB."""
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


def resolve(name: str, revision: str | None, *, role: str) -> tuple[str, str]:
    """(revision, licence) of a hub name or folder. A cache that cannot be written, as a mounted claim, decides before the hub is asked.

    Raises ModelError when there is no such model or revision, or no right to it; TransientError while the hub does not answer.
    """
    from httpx2 import TransportError  # of the hub's own client; no OSError
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return f"sha256:{folder_digest(Path(name))[:16]}", "see the folder"
    wanted = f"{name}" + (f" at {revision!r}" if revision else "")
    own = "give images.model a folder or another hub name"
    fix = own if role == "diffusion" else f"give prompts.{role}.model a folder, another hub name, or `embedded`"
    if (held := _only_here(name, revision)) is not None:
        return held.name, _card_license(held)
    away = None
    try:
        if not constants.HF_HUB_OFFLINE:
            found = _ask(lambda: HfApi().model_info(name, revision=revision, timeout=20))
            return found.sha, (found.card_data or {}).get("license") or "not stated"
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except (HfHubHTTPError, OSError, TransportError) as error:
        if (kind := fault(error)) == "denied":
            raise ModelError(f"no such model on the hub, or no right to it: {wanted}; {TOKEN}, or {fix}") from error
        if kind == "missing":
            raise ModelError(f"no such model or revision on the hub: {wanted}; {fix}") from error
        away = error  # what the cache holds decides
    try:
        snapshot = snapshot_download(name, revision=revision, local_files_only=True)
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        if away is not None:
            raise TransientError(
                f"the hub stays out of reach ({line_of(away)}) and {wanted} is not in the local cache; run again once connected, or {fix}"
            ) from away
        raise ModelError(
            f"no such model or revision, offline: {wanted} is not in the local cache; connect once, or {fix}"
        ) from error
    return Path(snapshot).name, _card_license(Path(snapshot))


def _only_here(name: str, revision: str | None) -> Path | None:
    """The snapshot in a cache that cannot be written: the hub's newest commit could not be downloaded there."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if os.access(constants.HF_HUB_CACHE, os.W_OK):
        return None
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def _ask(question: Callable[[], Any]) -> Any:
    """The hub's answer, asked again after PAUSES while it is busy or out of reach."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    for pause in PAUSES:
        try:
            return question()
        except (HfHubHTTPError, OSError, TransportError) as error:
            if fault(error) != "transient":
                raise
            time.sleep(pause)
    return question()


def fault(error: BaseException | None) -> str | None:
    """transient (out of reach, 429, 5xx), denied (401, 403) or missing (404), from an error of the hub's client or one that it caused."""
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
    """What it means that weights could not be loaded: ModelError, or TransientError where the hub failed meanwhile."""
    kind = fault(error)
    if kind == "transient":
        return TransientError(f"the hub failed while {what} was loaded ({line_of(error)}); run again")
    if kind == "denied":
        return ModelError(f"the hub refuses {what} ({line_of(error)}); {TOKEN}")
    return ModelError(f"{what} cannot be loaded: {line_of(error)}; {fix}")


def line_of(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _card_license(snapshot: Path) -> str:
    from huggingface_hub import ModelCard

    card = snapshot / "README.md"
    return (
        (ModelCard(card.read_text(), ignore_metadata_errors=True).data.license or "not stated")
        if card.exists()
        else "not stated"
    )
