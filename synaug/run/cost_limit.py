"""limits.cost against what a forecast knows, in one sentence wherever it is asked."""


def cost_limit_violation(
    limit: float | None, *, price: float | None, cost_at_least: float | None, unmeasured: list[str], measures: str
) -> str | None:
    """Why more than `limit` may be spent; None: it is not. The fields are Forecast's; measures: what would measure the unmeasured."""
    if limit is None:
        return None
    if price is None:
        return f"the cost is unknown, since compute.price is not given, and limits.cost is {limit:,.2f}"
    unknown = f" ({', '.join(unmeasured)}: unmeasured, {measures} measures)" if unmeasured else ""
    if cost_at_least > limit:
        return f"the run would cost {'at least ' if unknown else ''}{cost_at_least:,.2f}{unknown}, more than limits.cost {limit:,.2f}"
    return f"the cost is unknown{unknown}, and limits.cost is {limit:,.2f}" if unknown else None
