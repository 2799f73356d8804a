"""`make lint`, the hooks of pre-commit and .ci/run check the same things."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def lint() -> list[str]:
    """The commands of `make lint`, in the virtual environment of `make setup`."""
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]


def test_lint_checks_style_format_layers_and_types():
    assert lint() == [f".venv/bin/{each}" for each in ("ruff check .", "ruff format --check .", "lint-imports", "mypy")]


def test_the_hooks_call_what_make_lint_calls():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == lint()
    assert not [hook["id"] for hook in local["hooks"] if hook["pass_filenames"] or hook["language"] != "system"]


def test_the_build_lints_before_it_tests():
    script = (ROOT / ".ci" / "run").read_text()
    (targets,) = re.findall(r"^targets=\((.*)\)$", script, re.MULTILINE)
    assert targets.split() == ["lint", "test", "test-slow"]
