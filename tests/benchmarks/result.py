"""One measured ratio."""

import operator
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    value: float
    target: str = ""  # like ">= 0.95", "<= 1.05" or "== 1"; empty: reported only
    unit: str = "ratio"
    details: dict = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        sign, limit = self.target.split()
        return {">=": operator.ge, "<=": operator.le, "==": operator.eq}[sign](self.value, float(limit))
