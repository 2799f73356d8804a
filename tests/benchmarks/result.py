"""One measured figure with its repeats, and what it should be."""

import operator
from dataclasses import dataclass, field
from statistics import median

NOT_YET = "not yet measured"
COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure of a benchmark."""

    name: str
    values: list[float]  # one per repeat; the median counts; none: not yet measured, for want of the hardware
    target: str = ""  # like ">= 0.95" or "within 15%" of a ratio of 1; empty: reported only
    unit: str = "ratio"
    details: dict = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        if not self.target or self.value is None:
            return None
        sign, limit = self.target.split()
        if sign == "within":  # of 1: neither more nor less
            return abs(self.value - 1) <= float(limit.removesuffix("%")) / 100
        return COMPARE[sign](self.value, float(limit))

    @property
    def verdict(self) -> str:
        return {None: "reported", True: "pass", False: "FAIL"}[self.met] if self.values else NOT_YET

    def to_dict(self) -> dict:
        return {
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "target": self.target or None,
            "verdict": self.verdict,
            "lowest": rounded(min(self.values, default=None)),
            "highest": rounded(max(self.values, default=None)),
            "values": [rounded(value) for value in self.values],
            "details": self.details,
        }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def without_gpu(name: str, target: str = "", unit: str = "ratio") -> Result:
    """Hold the place of a figure that takes an NVIDIA GPU."""
    return Result(name=name, values=[], target=target, unit=unit, details={"needs": "an NVIDIA GPU"})


def ratios(over: list[float], under: list[float]) -> list[float]:
    """Divide neighbours in time: what slows the machine for a while slows both."""
    return [a / b for a, b in zip(over, under, strict=True)]
