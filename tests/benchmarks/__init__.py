"""Speed as ratios within one run: each module has `run() -> list[Result]`; `python -m tests.benchmarks` does them all."""
