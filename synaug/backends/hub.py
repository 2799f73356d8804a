"""A model's name to what it is: a commit of the hub, or the digest of a local folder. Nothing heavy is loaded."""

import hashlib
from pathlib import Path

from synaug.errors import ModelError


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
    """(revision, licence) of a hub name or folder. Raises ModelError when there is no such model or revision, or no way to ask."""
    from httpx2 import TransportError  # of the hub's own client; no OSError
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return f"sha256:{folder_digest(Path(name))[:16]}", "see the folder"
    wanted = f"{name}" + (f" at {revision!r}" if revision else "")
    own = "give images.model a folder or another hub name"
    fix = own if role == "diffusion" else f"give prompts.{role}.model a folder, another hub name, or `embedded`"
    try:
        if not constants.HF_HUB_OFFLINE:
            found = HfApi().model_info(name, revision=revision, timeout=20)
            return found.sha, (found.card_data or {}).get("license") or "not stated"
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403, 404):
            raise ModelError(f"no such model or revision on the hub, or no right to it: {wanted}; {fix}, or log in") from error
    except (OSError, TransportError):
        pass  # no network: what the cache holds decides
    try:
        snapshot = snapshot_download(name, revision=revision, local_files_only=True)
    except HFValidationError as error:
        raise ModelError(f"no such model: {wanted} is neither a folder nor a hub name; {fix}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"no such model or revision, offline: {wanted} is not in the local cache; connect once, or {fix}") from error
    return Path(snapshot).name, _card_license(Path(snapshot))


def _card_license(snapshot: Path) -> str:
    from huggingface_hub import ModelCard

    card = snapshot / "README.md"
    return (ModelCard(card.read_text(), ignore_metadata_errors=True).data.license or "not stated") if card.exists() else "not stated"
