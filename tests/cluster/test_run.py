"""The whole job on a real API server, kubelet, Argo and training operator, in a restricted namespace."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.development import NAMESPACE, ROOT, command
from tests.cluster.phases import phase


def synthetic(objects, run) -> dict[str, bytes]:
    """{name below synthetic/: bytes} of a run's tars"""
    prefix = run.key("synthetic/")
    return {key.removeprefix(prefix): objects.get(key) for key in objects.list(prefix) if key.endswith(".tar")}


def test_the_run_succeeds_in_a_namespace_that_enforces_restricted(cluster, first_run):
    labels = cluster.core.read_namespace(NAMESPACE).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert first_run.templates == {"plan", "prompts", "images", "index", "train", "evaluate", "report", "finish"}


def test_two_workers_trained_one_arm(first_run, objects):
    done = objects.json(first_run.key("train/auxbn-1x/0/done.json"))
    assert done["ranks"] == 2


def test_the_training_job_is_gone_with_its_success(cluster, first_run):
    assert [job["metadata"]["name"] for job in cluster.training_jobs()] == []


def make(store: Path, run: str, shard: int) -> None:
    for stage in ("prompts", "images"):
        command(
            "-m",
            "synaug",
            stage,
            "--store",
            str(store),
            "--run",
            run,
            "--shard",
            str(shard),
            env={"OMP_NUM_THREADS": "1"},
        )


def test_the_tars_are_those_of_a_local_run_of_the_same_frozen_plan(first_run, objects, tmp_path):
    """prompts and images on this machine, from the plan that the cluster froze."""
    store = tmp_path / "store"
    with phase("the same plan, locally"):
        command("-m", "synaug", "import", "embedded", "--store", str(store))
        for name in ("run.yaml", "plan.json"):
            path = store / "runs" / first_run.run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(objects.get(first_run.key(name)))
        shards = range(len(objects.json(first_run.key("plan.json"))["class_shards"]))
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda shard: make(store, first_run.run, shard), shards))
    folder = store / "runs" / first_run.run / "synthetic"
    here = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.tar")}
    there = {name: data for name, data in synthetic(objects, first_run).items() if name.startswith("x1/")}
    assert here.keys() == there.keys() and len(here) >= 4
    assert {name for name in here if here[name] != there[name]} == set()


def test_the_report_comes_back(first_run):
    first_run.of("fetch-report")
    page = (ROOT / "work" / f"{first_run.run}-report.html").read_text()
    assert "auxbn-1x" in page and page.rstrip().endswith("</html>")


def test_a_second_submission_makes_nothing(cluster, first_run, objects):
    def made() -> dict:
        folders = ("prompts/", "synthetic/", "train/", "evaluate/")
        return {key: time for folder in folders for key, time in objects.list(first_run.key(folder)).items()}

    before = made()
    with phase("submitted again"):
        first_run.submit()
        first_run.watch()
    assert {node["templateName"] for node in cluster.nodes(cluster.workflow_of(first_run.run))} == {
        "plan",
        "index",
        "report",
        "finish",
    }
    assert made() == before


@pytest.fixture(scope="session")
def grown_run(first_run, objects):
    """At 2x; what there was before: {key: time}."""
    before = objects.list(first_run.key("synthetic/x1/"))
    with phase("the same run, 2x"):
        first_run.submit(scale="2x")
        first_run.watch()
    return before


def test_growing_makes_only_x2(cluster, first_run, grown_run, objects):
    assert objects.list(first_run.key("synthetic/x1/")) == grown_run
    assert objects.list(first_run.key("synthetic/x2/")).keys() == {key.replace("/x1/", "/x2/") for key in grown_run}
    assert objects.list(first_run.key("evaluate/")).keys() >= {first_run.key("evaluate/auxbn-2x/0.json")}


def test_a_tar_removed_before_index_stops_the_run_before_training(cluster, grown_run, first_run, objects):
    """The manifest says that it is there: index looks."""
    tar = next(key for key in objects.list(first_run.key("synthetic/x2/")) if key.endswith(".tar"))
    data = objects.get(tar)
    objects.delete(tar)
    try:
        with phase("a tar removed"):
            first_run.submit("seeds=[0, 1]", scale="2x")
            ended = first_run.watch(check=False)
        assert ended.returncode == 3, ended.stdout + ended.stderr
        assert Path(tar).name in ended.stdout + ended.stderr
        assert "train" not in {node["templateName"] for node in cluster.nodes(cluster.workflow_of(first_run.run))}
    finally:
        objects.put(tar, data)
