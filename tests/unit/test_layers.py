"""The layers that pyproject.toml states, and what a person waits for at `synaug --help`."""

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
