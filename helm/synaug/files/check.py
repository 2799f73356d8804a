"""What `helm test` runs inside the cluster, one line a check: a pod can write to the store and find the models.

The hub's client is imported where it is used: a claim of models does without.
"""

import os
import sys
import uuid
from pathlib import Path

from synaug.data.store import open_store
from synaug.errors import DataError, ModelError, TransientError, describe


def store() -> str:
    """Write, read, list and delete an object. Raises DataError."""
    root = open_store(os.environ["SYNAUG_STORE"])
    key = f"checks/{uuid.uuid4().hex}.txt"
    root.put(key, b"synaug")
    if root.get(key) != b"synaug" or key not in root.list("checks/"):
        raise DataError(
            f"{root.url}: an object that was just written reads differently or is not listed; synaug needs a "
            "consistent store"
        )
    root.delete(key)
    return f"{root.url}: put, get, list and delete work"


def models() -> str:
    """Look for the models: in the claim, offline, or on the hub. Raises ModelError, TransientError."""
    claim = os.environ.get("SYNAUG_MODELS")
    if claim:
        names = sorted(path.name for path in Path(claim).iterdir())
        if not names:
            raise ModelError(
                f"the claim at {claim} is empty; put model folders, or a Hugging Face cache as `hub`, on it"
            )
        return f"{claim}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
    if os.environ.get("HF_HUB_OFFLINE"):
        return "offline: only the embedded models"
    return hub()


def hub() -> str:
    """Ask the hub. Raises ModelError, TransientError."""
    from httpx2 import TransportError  # of the hub's own client; no OSError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        if os.environ.get("HF_TOKEN"):
            return f"the hub knows the token as {HfApi().whoami()['name']}"
        return f"the hub answers: {HfApi().model_info('timm/resnet50.a1_in1k', timeout=20).id}"
    except HfHubHTTPError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"the hub refuses: {reason}; put a valid token into the Secret of models.tokenSecret"
        ) from error
    except (OSError, TransportError) as error:
        fix = "let pods reach it, or set models.claim, or models.offline for the embedded models only"
        raise TransientError(f"the hub is out of reach ({str(error).splitlines()[0]}); {fix}") from error


def main() -> int:
    """Print a line for each check; return the first failure's exit code."""
    code = 0
    for check in (store, models):
        try:
            print(f"ok      {check.__name__:<7} {check()}", flush=True)
        except Exception as error:  # each becomes its line and an exit code
            number, line = describe(error)
            print(f"FAILED  {check.__name__:<7} {line}", flush=True)
            code = code or number
    return code


if __name__ == "__main__":
    sys.exit(main())
