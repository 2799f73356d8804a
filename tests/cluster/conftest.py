"""The development cluster, booted once; the first run, on which several tests look."""

import dataclasses
import json
import os
import secrets
from pathlib import Path

import pytest
import yaml

from k8s.process import processes
from k8s.settings import Settings
from synaug.config.load import dump_config, load_config
from tests.cluster.development import STATE, Cluster, Objects, command
from tests.cluster.phases import TIMES, phase

FOLDER = Path(__file__).parent
SETTINGS = [
    "prompts.senses=false",
    "prompts.values=2",
    "training.steps=40",
    "images.part_images=40",
    "tests={test: {split: test, domain: in}}",
    "arms={auxbn-1x: {kind: auxbn, scale: 1x}, auxbn-2x: {kind: auxbn, scale: 2x}}",
]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != "test_boot.py")  # it needs a machine without a cluster
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(2400))


def pytest_terminal_summary(terminalreporter):
    if TIMES:
        terminalreporter.section("phases")
        for name, seconds in TIMES:
            terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
        terminalreporter.write_line(f"{sum(seconds for _, seconds in TIMES):7.1f} s  in all")


@pytest.fixture(scope="session")
def cluster():
    """As `make cluster` leaves it: booted, chart installed, embedded data imported. One that was up before stays up."""
    if os.geteuid() != 0:
        pytest.skip("the development cluster needs root")
    was_up = bool(processes(Settings()))
    with phase("cluster: boot, images, chart, import"):
        command("-m", "k8s", "up", timeout=1800)
    found = Cluster()
    found.check_marker()
    yield found
    if not was_up:
        with phase("cluster down"):
            command("-m", "k8s", "down")


@pytest.fixture(scope="session")
def config_file(tmp_path_factory) -> str:
    """A small cut of the demo: 16 images a class, few steps."""
    config = load_config("cluster", SETTINGS)
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(dump_config(config))
    return str(path)


@dataclasses.dataclass(frozen=True)
class Commands:
    """The commands for people, on one run. templates: those of the pods of its first Workflow."""

    run: str
    config: str
    templates: frozenset[str] = frozenset()

    def key(self, path: str) -> str:
        """Of an object of the run in the store."""
        return f"runs/{self.run}/{path}"

    def submit(self, *overrides: str, scale: str = "1x", check: bool = True):
        return command(
            "-m",
            "pipelines",
            "submit",
            "--config",
            self.config,
            "--run",
            self.run,
            "--scale",
            scale,
            *overrides,
            check=check,
        )

    def watch(self, *, check: bool = True):
        return command("-m", "pipelines", "watch", "--run", self.run, check=check)

    def of(self, name: str, *arguments: str, check: bool = True):
        return command("-m", "pipelines", name, "--run", self.run, *arguments, check=check)


@pytest.fixture(scope="session")
def commands(config_file):
    """commands("first"): on a run of that name and four digits, new in each session."""
    session = secrets.token_hex(2)
    return lambda run: Commands(f"{run}-{session}", config_file)


@pytest.fixture(scope="session")
def objects(cluster) -> Objects:
    """The store, read from outside as the pods do not."""
    access, secret = json.loads((STATE / "store-credentials.json").read_text())
    service = cluster.core.read_namespaced_service("s3", "storage")
    values = yaml.safe_load((FOLDER.parents[1] / "k8s" / "values.yaml").read_text())
    keys = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
    return Objects(values["store"]["url"], f"http://{service.spec.cluster_ip}:{service.spec.ports[0].port}", keys)


@pytest.fixture(scope="session")
def first_run(cluster, commands):
    """A run at 1x, done: its commands."""
    run = commands("first")
    with phase("first run, 1x"):
        run.submit()
        run.watch()
    pods = cluster.nodes(cluster.workflow_of(run.run))  # now: the next submission replaces the Workflow
    return dataclasses.replace(run, templates=frozenset(pod["templateName"] for pod in pods))
