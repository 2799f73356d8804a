"""Speed as ratios within one run: each of NAMES is a module with `run() -> list[Result]`; `python -m tests.benchmarks` does them all."""

NAMES = ("images", "levers", "loader", "auxbn", "feeding", "memory", "estimate")
