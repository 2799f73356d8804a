"""What was probably meant by a name that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str], *, cutoff: float = 0.6, inside: str = "") -> str:
    """`; did you mean submit?`, empty where nothing known is near.

    cutoff: difflib's ratio, 1 for equal (default: difflib's). inside: what stands before the name that is told, like `arms.real.`.
    """
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {inside}{near[0]}?" if near else ""
