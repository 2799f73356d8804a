"""Speed as ratios within one run; `python -m tests.benchmarks` measures all.

Each of NAMES is a module with `run() -> list[Result]`.
"""

NAMES = ("images", "levers", "loader", "auxbn", "feeding", "memory", "estimate")
