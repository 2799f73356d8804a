"""Runs the benchmarks (all, or those named), prints a table and writes bench-results/{name}.json, or all into --out.

Exits 3 when a target is not met.
"""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from tests import benchmarks

RESULTS = Path("bench-results")
# One torch thread, and glibc keeps large blocks: as the local runner's workers are started.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


def names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in ("__main__", "result", "sd15")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=names(), metavar="NAME", help=f"of {', '.join(names())} (default: all)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="one JSON file for all, with the machine's and libraries' names")
    args, measured = parser.parse_args(), {}
    before = [round(load, 2) for load in os.getloadavg()]  # other work on the machine moves the figures
    RESULTS.mkdir(exist_ok=True)
    print(f"{'benchmark':<58} {'value':>10} {'target':>9}  ")
    for name in args.names:
        results = importlib.import_module(f"tests.benchmarks.{name}").run()
        for result in results:
            verdict = {None: "", True: "met", False: "NOT MET"}[result.met]
            print(f"{result.name:<58} {result.value:>10.3f} {result.target:>9}  {verdict}  ({result.unit})", flush=True)
        measured[name] = [asdict(result) | {"met": result.met} for result in results]
        (RESULTS / f"{name}.json").write_text(json.dumps(measured[name], indent=1) + "\n")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({"machine": machine(), "load_before": before, "results": measured}, indent=1) + "\n")
    missed = [result["name"] for results in measured.values() for result in results if result["met"] is False]
    if missed:
        print(f"targets not met: {'; '.join(missed)}")
        sys.exit(3)


def machine() -> dict:
    import torch

    from synaug.generation.versions import versions

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    more = {name: metadata.version(name) for name in ("torchvision", "timm", "numpy")}
    return {"cpu": cpu, "cores": os.cpu_count(), "torch_threads": 1, "python": platform.python_version()} | versions(device) | more


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):  # glibc and OpenMP read them at the start
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks", *sys.argv[1:]], os.environ | ENVIRONMENT)
    main()
