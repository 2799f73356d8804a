"""The scale of a set, `6x`: six synthetic images for each real one. It is written as text and parsed here alone."""

import re

from synaug.errors import UsageError

SCALE_PATTERN = r"^[1-9]\d*x$"
_SCALE = re.compile(SCALE_PATTERN)


def parse_scale(text: str) -> int:
    """Return a scale's multiple of the real images, `6x` -> 6. Raises UsageError for 0x, six, -1x, 1.5x."""
    if not _SCALE.fullmatch(text):
        raise UsageError(f"scale: {no_scale(text)}")
    return int(text.removesuffix("x"))


def no_scale(given: object) -> str:
    """Say that what was given is no scale, and what one is."""
    return f"{given!r} is no scale; give a whole multiple of the real images, like 1x, 2x or 6x"
