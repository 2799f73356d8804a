"""Exact revisions of models, from the hub or a folder."""

import hashlib
import re
from pathlib import Path

from synaug.errors import ModelError, TransientError

COMMIT = re.compile(r"[0-9a-f]{40}")
EDGE = 1 << 20  # bytes hashed at either end of a large file


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


def digest_of(folder: Path) -> str:
    """16 hex digits over the names, sizes and contents of a folder's weights and settings (of large files, both ends).

    Raises ModelError when the folder does not exist.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {folder}; give a folder in diffusers layout or a hub name")
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors", ".txt") and p.name != "metrics.json"):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with open(path, "rb") as file:
            digest.update(file.read(EDGE))
            file.seek(max(0, size - EDGE))
            digest.update(file.read())
    return digest.hexdigest()[:16]


def commit_of(name: str, revision: str | None, *, file: str = "model_index.json") -> str:
    """The commit that a hub revision (None: main) stands for: from the local cache, else asked of the hub.

    file: one that the model surely has. Raises ModelError when there is no such model or revision, or offline without a
    cached copy, TransientError when the hub stays out of reach.
    """
    from httpx2 import TransportError  # of the hub's client
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, HfHubHTTPError, OfflineModeIsEnabled

    wanted = revision or "main"
    try:
        cached = try_to_load_from_cache(name, file, revision=wanted)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a hub name; give ORGANISATION/MODEL or a folder") from error
    if isinstance(cached, str) and (COMMIT.fullmatch(wanted) or constants.HF_HUB_OFFLINE):
        return Path(cached).parts[Path(cached).parts.index("snapshots") + 1]
    try:
        return HfApi().model_info(name, revision=wanted).sha
    except OfflineModeIsEnabled as error:
        raise ModelError(f"{name} at {wanted} is not in the local cache and HF_HUB_OFFLINE is set; fetch it first or give a folder") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status >= 500 or status == 429:
            raise TransientError(f"the hub answered {status} for {name}; run again") from error
        raise ModelError(f"the hub has no {name} at {wanted} that you may read ({status}); check the name, the revision and your token") from error
    except TransportError as error:
        raise ModelError(f"{name} at {wanted} is not in the local cache and the hub is out of reach ({first_line(error)}); fetch it first or give a folder") from error
