"""Numbers as the report prints them: accuracies in per cent, differences in points, both to one digit."""

from synaug.evaluation.statistics import WithInterval

MINUS = "−"  # a typographic minus: as wide as a plus


def points(value: float) -> str:
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return text.replace("-", MINUS) if float(text) else "0.0"


def interval(one: WithInterval) -> str:
    return "" if one.low is None else f"[{signed(one.low)}, {signed(one.high)}]"


def change(one: WithInterval) -> str:
    """`+2.3 points [+1.6, +3.0]`"""
    return " ".join(part for part in (f"{signed(one.mean)} points", interval(one)) if part)


def brief(one: WithInterval) -> str:
    """The same where it is clear that points are meant."""
    return " ".join(part for part in (signed(one.mean), interval(one)) if part)


def verdict(one: WithInterval | None) -> str:
    """gain, loss, open (the interval holds 0), or unknown (no interval)."""
    if one is None or one.low is None:
        return "unknown"
    return ("gain" if one.mean > 0 else "loss") if one.shown else "open"


def listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def count(n: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith(("s", "x", "ch")) else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
