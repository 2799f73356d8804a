"""The command line of `pipelines`: complete, quick, and light enough for a machine without torch."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.__main__ import PEOPLE, PODS, parser_of
from tests.distributions import foreign_modules
from tests.pipelines.api_server import kubeconfig, serving

ROOT = Path(__file__).parents[2]
# What the Makefile's $(CLIENT) installs, but for hera, which only `render` and `submit` need.
CLIENT = ["kubernetes", "pydantic", "pyyaml", "rich"]
OURS_OR_OPTIONAL = ("synaug", "pipelines", "socks")  # urllib3 takes PySocks where it is installed
REFUSED = [module for module in foreign_modules(CLIENT) if module not in OURS_OR_OPTIONAL]


def alone(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, which fails when it has imported what a client does not have."""
    script = (
        "import sys; bare = set(sys.modules)\n"
        "from pipelines.__main__ import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        f"refused = [m for m in {REFUSED!r} if m in sys.modules.keys() - bare]\n"
        "sys.exit(f'imports {refused}' if refused else code)"
    )
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in (*PEOPLE, *PODS))], ids=" ".join)
def test_help_is_light_and_complete(arguments):
    result = alone(*arguments)
    assert result.returncode == 0, result.stderr
    expected = [*PEOPLE, *PODS] if arguments == ["--help"] else ["usage: python -m pipelines", "--debug"]
    assert [word for word in expected if word not in result.stdout] == []


def test_submitting_needs_no_heavy_package(api, tmp_path):
    with serving(api) as url:
        result = alone("watch", "--run", "none", KUBECONFIG=str(kubeconfig(tmp_path / "kubeconfig", url)))
        assert (result.returncode, result.stderr) == (3, result.stderr)
        api.templates.clear()
        result = alone("submit", "--config", "demo", KUBECONFIG=str(kubeconfig(tmp_path / "kubeconfig", url)))
    assert result.returncode == 3, result.stderr
    assert "synaug is not installed" in result.stderr


def test_an_unknown_command_names_the_nearest(client):
    code, _, err = client("sumbit")
    assert (code, err.count("\n")) == (2, 1)
    assert "no command 'sumbit'; did you mean submit?" in err


def test_an_unknown_option_is_one_line(client):
    code, _, err = client("submit", "--scal", "6x")
    assert (code, err) == (
        2,
        "submit: unrecognized arguments: --scal; `python -m pipelines submit --help` shows what is needed\n",
    )


@pytest.mark.parametrize(
    "target", ["import", "preview", "plan", "submit", "watch", "stop", "logs", "fetch-report", "render"]
)
def test_each_target_of_the_makefile_is_a_command_with_its_options(target):
    """What `make -n` would run parses."""
    given = {
        "SOURCE": "s3://b/x.tar",
        "SPLIT": "val",
        "CLASSES": "imagenet-1k",
        "CONFIG": "run.yaml",
        "RUN": "first",
        "SCALE": "2x",
        "IMAGES": "8",
        "NAMESPACE": "team",
        "KUBECONTEXT": "there",
        "YES": "1",
        "ARGS": "seed=1 compute.gpus=8",
        "ARM": "a",
        "SEED": "1",
        "STAGE": "train",
    }
    shown = subprocess.run(
        ["make", "-n", "VENV=/nonexistent", target, *(f"{key}={value}" for key, value in given.items())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    line = next(line for line in shown.splitlines() if f"-m pipelines {target}" in line)
    args = parser_of(target).parse_intermixed_args(shlex.split(line)[4:])
    if target != "render":
        assert (args.namespace, args.context) == ("team", "there")
    if target == "submit":
        assert (args.config, args.run, args.scale, args.yes) == ("run.yaml", "first", "2x", True)
        assert args.overrides == ["seed=1", "compute.gpus=8"]


def test_no_module_is_over_300_lines():
    long = {
        path.name: lines
        for path in (ROOT / "pipelines").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert long == {}
