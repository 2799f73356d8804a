"""From an image's key to its seed and its draws: pure functions, equal on every machine (docs/design.md, Identity)."""

import hashlib
import re
from random import Random

from synaug.errors import UsageError

KEY = re.compile(r"(?P<class_id>[A-Za-z0-9][A-Za-z0-9._-]*)-(?P<index>\d{7})")


def key_of(class_id: str, index: int) -> str:
    """Name an image: `n02012849-0000017`."""
    return f"{class_id}-{index:07d}"


def parse_key(key: str) -> tuple[str, int]:
    """Take a key apart, `n02012849-0000017` -> ("n02012849", 17). Raises UsageError."""
    match = KEY.fullmatch(key)
    if not match:
        raise UsageError(f"{key!r} is no image key; a key is CLASS_ID-INDEX with seven digits, like n02012849-0000017")
    return match["class_id"], int(match["index"])


def derive(*parts: str | int) -> int:
    """Derive a 63-bit number from a SHA-256 of the parts; changing, adding or moving a part changes it."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def image_seed(run_seed: int, class_id: str, index: int, attempt: int = 0) -> int:
    """Derive the seed of the torch generator that draws an image's noise."""
    return derive("image", run_seed, class_id, index, attempt)


def draws(*parts: str | int) -> Random:
    """Make a generator for the choices that belong to `parts`."""
    return Random(derive("draw", *parts))
