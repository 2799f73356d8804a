"""Objects through a pod's log arrive whole or not at all: report, contact sheet and logs; preview and import."""

import argparse
import os

import pytest

from pipelines import names
from pipelines.commands import fetch
from pipelines.operations import log_transfer
from pipelines.status.pods import NODE_ANNOTATION
from pipelines.status.read_snapshot import ARGO_LABEL
from synaug.config.load import load_config
from synaug.data.store import open_store
from synaug.errors import DataError, UsageError
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, workflow

NAME, PREVIEW = "first-4f2a", names.workflow("demo", load_config("demo")) + "-preview"
FINISHED = {"finishedAt": "2026-11-24T05:00:00Z"}
NOISE = ["time=... level=info msg=capturing", "5 warnings"]


def pod_for(name: str, node: str, phase: str = "Running", **state) -> dict:
    """A pod of a Workflow's node."""
    return {
        "metadata": {
            "name": f"{name}-pod",
            "uid": "u",
            "labels": {ARGO_LABEL: name},
            "annotations": {NODE_ANNOTATION: node},
        },
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state or {"running": {}}}]},
    }


def serves(api, *objects: tuple[str, bytes]) -> list[str]:
    """Let each Workflow that is created run one pod, which ends once its pods were listed.

    A fetch prints the object asked for. Returns what was asked for.
    """
    asked, held = [], dict(objects)

    def on_create(made):
        name, given = made["metadata"]["name"], {p["name"]: p["value"] for p in made["spec"]["arguments"]["parameters"]}
        stage = made["spec"]["workflowTemplateRef"]["name"].removeprefix("synaug-")
        nodes = Nodes(name).add(stage, "Running", attempt())
        api.put(made | {"status": workflow(name, "Running", nodes)["status"]})
        api.pods = [pod_for(name, f"{name}-{stage}--0")]
        if stage == "fetch":
            asked.append(given["what"])
            if given["what"] in held:
                api.logs[f"{name}-pod"] = "\n".join([*log_transfer.encode(given["what"], held[given["what"]]), ""])
        last = attempt("Succeeded")
        if stage == "fetch" and given["what"] not in held:
            last = attempt("Failed", exit=3, line=f"no object {given['what']}")
        done = Nodes(name).add(stage, last["phase"], last)
        looks = iter(range(2 if stage == "fetch" else 1))  # all within one round of the client's looks

        def look():
            if next(looks, None) is None and name in api.workflows:
                api.put(made | {"status": workflow(name, last["phase"], done, **FINISHED)["status"]})
            return 200, {"items": api.pods, "metadata": {}}

        api.answers[:] = [("GET", "/pods$", look)]

    api.on_create = on_create
    return asked


def test_the_report_comes_back_whole(cluster, client, tmp_path):
    page = "<html>größe</html>".encode() * 3000
    asked = serves(cluster, ("report", page))
    code, out, err = client("fetch-report", "--run", "first")
    assert (code, out) == (0, f"work/first-report.html: {len(page):,} bytes, digest checked\n"), err
    assert (tmp_path / "work" / "first-report.html").read_bytes() == page
    assert (asked, cluster.workflows) == (["report"], {})


def test_a_pod_that_came_and_went_between_two_looks_is_read_all_the_same(cluster, client, tmp_path):
    def at_once(made):
        name = made["metadata"]["name"]
        nodes = Nodes(name).add("fetch", "Succeeded", attempt("Succeeded"))
        cluster.put(made | {"status": workflow(name, "Succeeded", nodes, **FINISHED)["status"]})
        cluster.pods = [pod_for(name, f"{name}-fetch--0", "Succeeded", terminated={"exitCode": 0})]
        cluster.logs[f"{name}-pod"] = "\n".join([*log_transfer.encode("report", b"<html>"), ""])

    cluster.on_create = at_once
    code, _, err = client("fetch-report", "--run", "first")
    assert code == 0, err
    assert (tmp_path / "work" / "first-report.html").read_bytes() == b"<html>"


def test_a_report_that_is_not_made_yet_is_said_by_the_pod(cluster, client):
    serves(cluster)
    code, _, err = client("fetch-report", "--run", "first")
    assert (code, err) == (3, "fetch-report: no object report (exit 3 of fetch)\n")


def test_a_log_that_is_cut_is_refused(cluster, client, tmp_path):
    serves(cluster, ("report", b"x" * 10))
    create = cluster.on_create

    def cut(made):
        create(made)
        cluster.logs[f"{made['metadata']['name']}-pod"] = cluster.logs[f"{made['metadata']['name']}-pod"].replace(
            log_transfer.END, ""
        )

    cluster.on_create = cut
    code, _, err = client("fetch-report", "--run", "first")
    assert code == 3
    assert "ends early; fetch it again" in err
    assert not (tmp_path / "work").exists()


def test_preview_brings_the_contact_sheet(cluster, client, tmp_path):
    asked = serves(cluster, ("preview", b"\x89PNG"))
    code, _, err = client("preview", "--config", "demo", "--images", "8")
    assert (code, asked) == (0, ["preview"]), err
    assert (tmp_path / "work" / "demo-preview.png").read_bytes() == b"\x89PNG"
    sent = next(body for method, _, body in cluster.requests if method == "POST")
    assert sent["metadata"]["name"] == PREVIEW
    assert {p["name"]: p["value"] for p in sent["spec"]["arguments"]["parameters"]}["images"] == "8"


def test_import_sends_the_class_list_itself(cluster, client, tmp_path):
    serves(cluster)
    (tmp_path / "classes.yaml").write_text("- {id: a, names: [a]}\n- {id: b, names: [b]}\n")
    code, out, err = client(
        "import", "s3://b/train-{00..09}.tar", "--split", "val", "--classes", "classes.yaml", "--labels"
    )
    assert code == 0, err
    assert out == "imported s3://b/train-{00..09}.tar as split val; next: make preview, make plan\n"
    sent = next(body for method, _, body in cluster.requests if method == "POST")
    assert {p["name"]: p["value"] for p in sent["spec"]["arguments"]["parameters"]} == {
        "source": "s3://b/train-{00..09}.tar",
        "split": "val",
        "labels": "labels",
        "classes": "- {id: a, names: [a]}\n- {id: b, names: [b]}\n",
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["import", ""], "SOURCE is missing"),
        (["import", "photos"], "pods cannot see 'photos'"),
        (["import", "s3://b/x.tar", "--classes", "none.yaml"], "no class list none.yaml"),
        (["preview", "--config", "demo", "--images", "0"], "IMAGES=0: give 1 or more"),
        (["logs"], "which log? Give SHARD=N"),
        (["logs", "--shard", "1", "--arm", "x"], "which log?"),
        (["logs", "--stage", "images"], "which log?"),
    ],
)
def test_what_cannot_be_meant_is_one_line(cluster, client, arguments, line):
    code, _, err = client(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert line in err


def test_a_live_import_is_refused_with_what_to_do(cluster, client):
    name = "synaug-import-train"
    cluster.put(workflow(name, "Running", Nodes(name), template="import"))
    code, _, err = client("import", "s3://b/x.tar")
    assert code == 3
    assert err.endswith(f"{name} is running; wait for it, or delete it: kubectl delete workflow {name} -n synaug\n")


def running(phase: str, last: dict) -> dict:
    nodes = Nodes(NAME).add(
        "plan", "Succeeded", attempt("Succeeded"), outputs=plan_outputs(shards=["017"], estimate=estimate())
    )
    return workflow(NAME, phase, nodes.add("images", last["phase"], last, inputs={"shard": "017"}))


def test_the_log_of_a_pod_is_shown(cluster, client):
    cluster.put(running("Running", attempt()))
    cluster.pods = [pod_for(NAME, f"{NAME}-images-017-0")]
    cluster.logs[f"{NAME}-pod"] = "images-017: 10/20 images\nimages-017: 20/20 images\n"
    code, out, _ = client("logs", "--run", "first", "--shard", "17")
    assert (code, out) == (0, "images-017: 10/20 images\nimages-017: 20/20 images\n")


def test_of_a_pod_that_is_gone_the_stored_end_is_shown(cluster, client):
    cluster.put(running("Failed", attempt("Failed", exit=4)))
    asked = serves(cluster, ("logs/images-017", b"the last line\n"))
    code, out, err = client("logs", "--run", "first", "--shard", "17")
    assert (code, out, asked) == (0, "the last line\n", ["logs/images-017"]), err


def failed_training(api, said: str) -> None:
    """Its launcher's pod stays, as failed pods do."""
    nodes = Nodes(NAME).add("train", "Failed", attempt("Failed", exit=3), inputs={"arm": "real", "seed": "0"})
    api.put(workflow(NAME, "Failed", nodes, **FINISHED))
    api.pods = [pod_for(NAME, f"{NAME}-train-real-0-0", "Failed", terminated={"exitCode": 3})]
    api.logs[f"{NAME}-pod"] = said


def test_a_failed_launcher_s_log_is_followed_by_its_workers_from_the_store(cluster, client):
    failed_training(cluster, "train real seed 0: step 8/40\n")
    asked = serves(cluster, ("logs/train-real-0", b"Traceback\nloss is nan\n"))
    code, out, err = client("logs", "--run", "first", "--arm", "real")
    assert (code, asked) == (0, ["logs/train-real-0"]), err
    assert out == (
        "train real seed 0: step 8/40\n--- the end of the log of its workers, from the store:\nTraceback\nloss is nan\n"
    )


def test_a_launcher_that_told_its_worker_s_log_needs_no_other(cluster, client):
    said = "train real seed 0: step 8/40\n--- the end of the log of w-0:\nTraceback\n---\n"
    failed_training(cluster, said)
    asked = serves(cluster, ("logs/train-real-0", b"Traceback\n"))
    assert client("logs", "--run", "first", "--arm", "real")[:2] == (0, said)
    assert asked == []


def test_a_launcher_whose_workers_left_nothing_shows_its_own_log(cluster, client):
    failed_training(cluster, "workers are not admitted\n")
    serves(cluster)
    code, out, err = client("logs", "--run", "first", "--arm", "real")
    assert (code, out) == (0, "workers are not admitted\n")
    assert "its workers left no log in the store: train-real-0 ended before they ran, or was killed" in err


def test_a_workflow_that_is_gone_leaves_its_logs_in_the_store(cluster, client):
    asked = serves(cluster, ("logs/index-all", b"gap\n"))
    assert client("logs", "--run", "first", "--stage", "index")[:2] == (0, "gap\n")
    assert asked == ["logs/index-all"]


def test_no_log_anywhere_is_said(cluster, client):
    cluster.put(running("Running", attempt()))
    serves(cluster)
    code, _, err = client("logs", "--run", "first", "--shard", "3")
    assert code == 3
    assert "images-003 of run first has no pod, and left no log: it has not begun, or it did not fail" in err


@pytest.mark.parametrize("size", [0, 1, 4000, 100_000])
def test_what_is_printed_between_other_lines_is_read_back(size):
    data = os.urandom(size)
    log = "\r\n".join([*NOISE, *log_transfer.encode("runs/first/report/index.html", data), *NOISE])
    assert log_transfer.decode(log) == ("runs/first/report/index.html", data)


def test_the_last_attempt_counts():
    first, second = log_transfer.encode("runs/a/x", b"old"), log_transfer.encode("runs/a/x", b"new")
    assert log_transfer.decode("\n".join([*first, *second]))[1] == b"new"


def test_lines_are_short_enough_for_every_container_runtime():
    lines = log_transfer.encode("runs/a/x", os.urandom(50_000))
    assert max(map(len, lines)) <= log_transfer.LINE < 16 * 1024


def lost_line(lines):
    return [*lines[:2], *lines[3:]]


def changed(lines):
    return [lines[0], ("B" if lines[1][40] == "A" else "A").join([lines[1][:40], lines[1][41:]]), *lines[2:]]


def nothing(lines):
    return NOISE


def no_end(lines):
    return lines[:-1]


@pytest.mark.parametrize("damage, said", [
    (nothing, "holds no object"), (no_end, "ends early"), (lost_line, "damaged"), (changed, "damaged"),
])  # fmt: skip
def test_a_cut_or_changed_log_is_refused(damage, said):
    lines = log_transfer.encode("runs/a/x", os.urandom(20_000))
    with pytest.raises(DataError, match=f"({said}).*fetch it again"):
        log_transfer.decode("\n".join(damage(lines)))


def test_what_a_log_would_cut_is_refused_before_it_is_printed():
    with pytest.raises(DataError, match="too large to go through a log"):
        log_transfer.encode("runs/a/x", os.urandom(log_transfer.LARGEST))


@pytest.mark.parametrize("what, key", [
    ("report", "runs/a/report/index.html"), ("preview", "runs/a/preview/contact-sheet.png"),
    ("logs/images-017", "runs/a/logs/images-017.txt"), ("logs/train-auxbn-1x-0", "runs/a/logs/train-auxbn-1x-0.txt"),
    ("logs/index-all", "runs/a/logs/index-all.txt"),
])  # fmt: skip
def test_names_of_what_can_be_fetched(what, key):
    assert log_transfer.key_of("a", what) == key


@pytest.mark.parametrize("what", ["", "plan.json", "logs/", "logs/images", "images-017", "../x"])
def test_other_names_are_refused(what):
    with pytest.raises(UsageError, match="give report, preview, or logs/STAGE-UNIT"):
        log_transfer.key_of("a", what)


def test_the_command_prints_the_object(tmp_path, capsys):
    store = open_store(tmp_path, create=True)
    store.put("runs/a/report/index.html", b"<html>a report</html>")
    fetch.main(argparse.Namespace(store=str(tmp_path), run="a", what="report"))
    assert log_transfer.decode(capsys.readouterr().out) == ("runs/a/report/index.html", b"<html>a report</html>")
