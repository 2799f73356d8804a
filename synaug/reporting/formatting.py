"""Numbers as reports print them: accuracies in per cent, differences in points, both to one digit."""

from typing import TYPE_CHECKING

from synaug.run.progress import plural

if TYPE_CHECKING:  # numpy, which --help, plan and run start without
    from synaug.evaluation.statistics import WithInterval

MINUS = "−"  # a typographic minus: as wide as a plus


def points(value: float) -> str:
    """Write a part of 1 in per cent or points: 0.8123 as `81.2`."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Write a difference in points: `+2.3`, `−0.4`, `0.0`."""
    text = f"{100 * value:+.1f}"
    return text.replace("-", MINUS) if float(text) else "0.0"


def interval(difference: "WithInterval") -> str:
    """Write the interval of a difference: `[+1.6, +3.0]`; empty where there is none."""
    if difference.low is None or difference.high is None:
        return ""
    return f"[{signed(difference.low)}, {signed(difference.high)}]"


def change(difference: "WithInterval") -> str:
    """Write a difference with its unit: `+2.3 points [+1.6, +3.0]`."""
    return " ".join(part for part in (f"{signed(difference.mean)} points", interval(difference)) if part)


def brief(difference: "WithInterval") -> str:
    """Write a difference where it is clear that points are meant: `+2.3 [+1.6, +3.0]`."""
    return " ".join(part for part in (signed(difference.mean), interval(difference)) if part)


def percent(accuracy: "WithInterval") -> str:
    """Write an accuracy with its interval: `81.2% (80.1 to 82.3)`."""
    text = f"{points(accuracy.mean)}%"
    if accuracy.low is None or accuracy.high is None:
        return text
    return f"{text} ({points(accuracy.low)} to {points(accuracy.high)})"


def verdict(difference: "WithInterval | None") -> str:
    """Judge a difference: gain, loss, open (the interval holds 0), or unknown (no interval)."""
    if difference is None or difference.low is None:
        return "unknown"
    return ("gain" if difference.mean > 0 else "loss") if difference.shown else "open"


def listed(words: list[str]) -> str:
    """Join words as a sentence does: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def count(n: int, noun: str) -> str:
    """Write a number with its noun: `1 class`, `1,200 classes`."""
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def capital(sentence: str) -> str:
    """Begin a sentence with a capital letter, and leave the rest as it is."""
    return sentence[:1].upper() + sentence[1:]
