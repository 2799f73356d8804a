"""One measured ratio."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    value: float
    target: str = ""  # like ">= 0.95"; empty: reported only
    unit: str = "ratio"
    details: dict = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        sign, limit = self.target.split()
        return self.value >= float(limit) if sign == ">=" else self.value <= float(limit)
