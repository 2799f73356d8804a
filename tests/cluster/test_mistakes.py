"""What a person may get wrong, on a real cluster: one line, the fix, an exit code; no retry where none can help."""

import subprocess
import time

import pytest
import yaml

from k8s.tools import binary
from pipelines import names
from pipelines.api import workflow_request
from pipelines.workflow import render
from synaug.config.load import dump_config, load_config
from tests.cluster.development import NAMESPACE, ROOT, STATE, command, until
from tests.cluster.phases import phase


def said(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr


@pytest.fixture
def chart(cluster):
    """upgrade(NAME=VALUE): the chart with other values, as it was after the test."""
    cluster.check_marker()
    helm = [binary("helm"), "--kubeconfig", cluster.kubeconfig, "upgrade", "synaug", ROOT / "helm/synaug"]
    helm += ["--namespace", NAMESPACE, "--values", ROOT / "k8s/values.yaml"]

    def upgrade(*values: str) -> None:
        given = [part for value in values for part in ("--set-string", value)]
        done = subprocess.run([*helm, *given], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    yield upgrade
    upgrade()


def test_a_model_that_is_not_there_fails_within_one_pod(cluster, commands):
    run = commands("no-model")
    with phase("no such model"):
        done = run.submit("images.profile=sd15", "images.model=nobody/nothing", check=False)
    assert done.returncode == 4 and "nobody/nothing" in said(done)
    plans = cluster.nodes(cluster.workflow_of(run.run, "plan"), "plan")
    assert len(plans) == 1, "tried again"


def test_a_bucket_that_is_not_there_fails_within_one_pod(cluster, commands, chart):
    chart("store.url=s3://nowhere/at-all")
    run = commands("no-bucket")
    with phase("no such bucket"):
        done = run.submit(check=False)
    assert done.returncode in (2, 3) and "nowhere" in said(done)
    assert len(cluster.nodes(cluster.workflow_of(run.run, "plan"), "plan")) == 1, "tried again"


def test_a_store_that_pods_cannot_reach_is_tried_again_and_its_line_watched(cluster, first_run, chart):
    """The server is gone for longer than a stage waits by itself: the pod ends with 170, and a later one does it."""
    chart(*values_of_kinds("SYNAUG_STORE_PATIENCE", "5"))
    with phase("a store that pods cannot reach"):
        first_run.submit()
        cluster.scale("s3", "storage", 0)
        try:
            until(
                lambda: "exit 170" in said(first_run.of("watch", "--once", check=False)),
                "a line with exit 170",
                every=2,
            )
            shown = said(first_run.of("watch", "--once", check=False))
            assert "retrying" in shown and "s3.storage" in shown
        finally:
            cluster.scale("s3", "storage", 1)
        first_run.watch()


def values_of_kinds(name: str, value: str) -> list[str]:
    """--set arguments that give every kind of pod one more variable, after those that k8s/values.yaml gives it."""
    pods = yaml.safe_load((ROOT / "k8s/values.yaml").read_text())["pods"]
    counts = {kind: len(given.get("env", ())) for kind, given in pods.items()}
    return [
        f"pods.{kind}.env[{at}].{field}={text}"
        for kind, at in counts.items()
        for field, text in (("name", name), ("value", value))
    ]


def test_a_model_that_cannot_be_trained_ends_its_arm_and_watch_says_why(cluster, first_run):
    with phase("an arm without a model"):
        first_run.submit(
            "arms={auxbn-1x: {kind: auxbn, scale: 1x}, broken: {kind: real, settings: {model: no_such_model}}}"
        )
        ended = first_run.watch(check=False)
    assert ended.returncode == 4, said(ended)
    assert "FAILED  train-broken-0: exit 4" in said(ended) and "no_such_model" in said(ended) and "fix: " in said(ended)
    launchers = cluster.nodes(cluster.workflow_of(first_run.run), "train")
    assert len(launchers) == 1, "tried again"
    assert "no_such_model" in said(first_run.of("logs", "--arm", "broken", "--seed", "0"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "6"], "like 1x, 2x or 6x"),
        (["--scale", "x6"], "like 1x, 2x or 6x"),
        (["--scale", "0x"], "like 1x, 2x or 6x"),
        (["--run", "Not_A_Label"], "DNS label"),
        (["--run", "a" * 31], "at most 30"),
        (["--namespace", "elsewhere"], "elsewhere"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_allowed(cluster, config_file, arguments, words):
    done = command("-m", "pipelines", "submit", "--config", config_file, *arguments, check=False)
    assert done.returncode in (2, 3) and words in said(done) and len(done.stderr.strip().splitlines()) == 1


def test_a_second_submission_of_a_live_run_and_a_changed_identity_are_refused(
    cluster, first_run, commands, config_file
):
    first_run.submit()
    again = first_run.submit(check=False)
    assert again.returncode == 3 and "make watch" in said(again) and "make stop" in said(again)
    first_run.watch()
    changed = first_run.submit("images.guidance_scale=3.0", check=False)
    assert changed.returncode == 3 and "images.guidance_scale 1.0 -> 3.0" in said(changed)


def test_without_a_right_the_verb_and_its_object_are_named(cluster, config_file, tmp_path):
    """The stages' account may do nothing."""
    token = cluster.core.create_namespaced_service_account_token("synaug-stage", NAMESPACE, {"spec": {}}).status.token
    settings = yaml.safe_load((STATE / "kubeconfig").read_text())
    settings["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    done = command(
        "-m",
        "pipelines",
        "submit",
        "--config",
        config_file,
        "--run",
        "nobody",
        check=False,
        env={"KUBECONFIG": str(path)},
    )
    assert (
        done.returncode == 4
        and "get" in said(done)
        and "workflowtemplates" in said(done)
        and "submitters" in said(done)
    )


def test_another_version_of_the_chart_is_refused(cluster, first_run):
    api = ("argoproj.io", "v1alpha1", NAMESPACE, "workflowtemplates", "synaug-run")
    before = cluster.custom.get_namespaced_custom_object(*api)["metadata"]["annotations"]["synaug/version"]
    cluster.check_marker()
    cluster.custom.patch_namespaced_custom_object(*api, {"metadata": {"annotations": {"synaug/version": "9.9.9"}}})
    try:
        done = first_run.submit(check=False)
    finally:
        cluster.custom.patch_namespaced_custom_object(*api, {"metadata": {"annotations": {"synaug/version": before}}})
    assert done.returncode == 2 and "9.9.9" in said(done) and "helm upgrade" in said(done)


def test_a_request_is_made_and_sent_within_two_seconds(cluster, config_file):
    """Render all templates, read the configuration, send the Workflow (dry run: nothing starts); the best of three."""

    def seconds() -> float:
        begun = time.monotonic()
        render.rendered()
        config = load_config(config_file)
        body = workflow_request.workflow(
            "run", names.workflow("timed", config), {"run": "timed", "config": dump_config(config)}, "timed"
        )
        cluster.custom.create_namespaced_custom_object(
            "argoproj.io", "v1alpha1", NAMESPACE, "workflows", body, dry_run="All"
        )
        return time.monotonic() - begun

    assert min(seconds() for _ in range(3)) < 2
