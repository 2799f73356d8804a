"""Runs the benchmarks (all, or those named), prints a table and writes bench-results/{name}.json."""

import argparse
import importlib
import json
import os
import pkgutil
import sys
from dataclasses import asdict
from pathlib import Path

from tests import benchmarks

RESULTS = Path("bench-results")
# One torch thread, and glibc keeps large blocks: as the local runner's workers are started.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


def names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in ("__main__", "result")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=names(), metavar="NAME", help=f"of {', '.join(names())} (default: all)")
    RESULTS.mkdir(exist_ok=True)
    print(f"{'benchmark':<58} {'value':>10} {'target':>9}  ")
    for name in parser.parse_args().names:
        results = importlib.import_module(f"tests.benchmarks.{name}").run()
        for result in results:
            verdict = {None: "", True: "met", False: "NOT MET"}[result.met]
            print(f"{result.name:<58} {result.value:>10.3f} {result.target:>9}  {verdict}  ({result.unit})", flush=True)
        (RESULTS / f"{name}.json").write_text(json.dumps([asdict(result) | {"met": result.met} for result in results], indent=1) + "\n")


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):  # glibc and OpenMP read them at the start
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks", *sys.argv[1:]], os.environ | ENVIRONMENT)
    main()
