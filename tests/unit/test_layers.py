"""The layers that pyproject.toml states, and what a person waits for at `synaug --help`."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from synaug.__main__ import COMMANDS, stage_names

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "boto3", "diffusers", "transformers", "timm", "open_clip", "matplotlib")


def test_layers_hold():
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in [*stage_names(), *COMMANDS])], ids=" ".join
)
def test_help_is_quick_and_complete(arguments):
    script = (
        "import sys; from synaug.__main__ import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "sys.exit(f'imports {heavy}' if heavy else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    expected = [*stage_names(), *COMMANDS] if arguments == ["--help"] else ["reads", "writes", "needs", "example"]
    assert [word for word in expected if word not in result.stdout.lower()] == []


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_takes_at_most_300_ms_more_than_bare_python():
    """Of CPU time, the best of some tries: the machine may be busy, and compiles the modules once."""
    bare = min(cpu_seconds("-c", "pass") for _ in range(3))
    best = min(cpu_seconds("-m", "synaug", "--help") for _ in range(8))
    assert best - bare < 0.3


def late_imports(path: Path) -> list[str]:
    """What is imported inside functions."""
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
    inside = [node for function in functions for node in ast.walk(function)]
    return [ast.unparse(node) for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]


def test_a_file_that_imports_inside_functions_says_why_once():
    """In its docstring, or in a comment near its top."""
    silent = {}
    for path in sorted([*(ROOT / "synaug").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]):
        if late := late_imports(path):
            text = path.read_text()
            comments = [line for line in text.splitlines()[:30] if line.lstrip().startswith("#")]
            said = " ".join([ast.get_docstring(ast.parse(text)) or "", *comments])
            if "import" not in said and "load" not in said:
                silent[str(path.relative_to(ROOT))] = late
    assert silent == {}


def test_config_data_and_run_load_no_heavy_module():
    """Every command imports them, and so does the control image, which has no torch; s3_store is for stores on S3."""
    files = [path for part in ("config", "data", "run") for path in sorted((ROOT / "synaug" / part).glob("*.py"))]
    modules = [f"synaug.{path.parent.name}.{path.stem}" for path in files if path.stem not in ("__init__", "s3_store")]
    script = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        f"sys.exit(str([m for m in {HEAVY!r} if m in sys.modules] or ''))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *modules], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert len(modules) > 20 and result.stderr.strip() == ""
