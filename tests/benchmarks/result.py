"""One measured figure with its repeats, and what it should be."""

import operator
from dataclasses import dataclass, field
from statistics import median

COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    values: list[float]  # one a repeat; the median counts
    target: str = ""  # like ">= 0.95" or "within 15%" of a ratio of 1; empty: reported only
    unit: str = "ratio"
    details: dict = field(default_factory=dict)

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        sign, limit = self.target.split()
        if sign == "within":  # of 1: neither more nor less
            return abs(self.value - 1) <= float(limit.removesuffix("%")) / 100
        return COMPARE[sign](self.value, float(limit))

    @property
    def verdict(self) -> str:
        return {None: "reported", True: "pass", False: "FAIL"}[self.met]

    def to_dict(self) -> dict:
        return {
            "name": self.name, "value": round(self.value, 4), "unit": self.unit, "target": self.target or None, "verdict": self.verdict,
            "lowest": round(min(self.values), 4), "highest": round(max(self.values), 4),
            "values": [round(value, 4) for value in self.values], "details": self.details,
        }  # fmt: skip


def ratios(over: list[float], under: list[float]) -> list[float]:
    """Of neighbours in time: what slows the machine for a while slows both."""
    return [a / b for a, b in zip(over, under, strict=True)]
