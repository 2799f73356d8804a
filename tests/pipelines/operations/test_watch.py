"""`make watch`, `make stop`: what they print, how they end, against a server that answers as an API server does."""

import itertools
from argparse import Namespace

import pytest
from rich.console import Console

from pipelines.api import wait
from pipelines.commands import options
from pipelines.operations import watch
from tests.pipelines.api_server import forbidden, status
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, workflow

NAME = "first-4f2a"
AWAY = status(503, "ServiceUnavailable", "the server is shutting down")


def run(phase: str, *tasks: tuple, **changes) -> dict:
    """tasks: (stage, phase, attempt, inputs)."""
    nodes = Nodes(NAME)
    outputs = plan_outputs(shards=["000", "001"], trainings=[], evaluations=[], estimate=estimate())
    nodes.add("plan", "Succeeded", attempt("Succeeded"), outputs=outputs)
    for stage, state, pod, inputs in tasks:
        nodes.add(stage, state, pod, inputs=inputs)
    return workflow(NAME, phase, nodes, **changes)


FINISHED = {"finishedAt": "2026-11-24T05:00:00Z"}
MADE = run("Succeeded", ("report", "Succeeded", attempt("Succeeded"), None), **FINISHED)
TOKEN = "model x: the hub refuses the token in Secret hf-token"
REFUSED = run("Failed", ("images", "Failed", attempt("Failed", exit=4, line=TOKEN), {"shard": "001"}), **FINISHED)


def becomes(api, *states) -> None:
    """The Workflow is in the next state each time that its pods are looked at."""
    api.put(states[0])
    rest = iter(states[1:])

    def look():
        if (state := next(rest, None)) is not None:
            api.put(state)
        return 200, {"items": [], "metadata": {}}

    api.answers.append(("GET", "/pods$", look))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Between lines nobody waits half a minute."""
    monkeypatch.setattr(watch, "PRINT", 0.0)
    for rhythm in ("LOOK", "DRAW", "PODS"):
        monkeypatch.setattr(watch, rhythm, 0.05)


def test_a_run_is_watched_to_its_end(cluster, client):
    becomes(cluster, run("Running"), MADE)
    code, out, _ = client("watch", "--run", "first")
    assert code == 0
    assert out.startswith("first-4f2a   running ")
    assert out.endswith("done. The report: make fetch-report RUN=first\n")


@pytest.mark.parametrize(("exit", "expected"), [(2, 2), (3, 3), (4, 4), (137, 137), (170, 170)])
def test_it_ends_with_the_code_of_what_failed(cluster, client, exit, expected):
    failed = run("Failed", ("images", "Failed", attempt("Failed", exit=exit, line=TOKEN), {"shard": "001"}), **FINISHED)
    becomes(cluster, run("Running"), failed)
    code, out, err = client("watch", "--run", "first")
    assert code == expected
    assert f"FAILED  images-001: exit {exit}, {TOKEN}\n" in out
    assert err == f"watch: {TOKEN} (exit {exit} of images-001)\n"


def test_once_shows_it_and_ends(cluster, client):
    cluster.put(run("Running"))
    code, out, err = client("watch", "--run", "first", "--once")
    assert (code, err) == (0, "")
    assert "images  ..........  0/2 shards  0/160\n" in out


def test_once_of_a_failed_run_ends_with_its_code(cluster, client):
    cluster.put(REFUSED)
    assert client("watch", "--run", "first", "--once")[0] == 4


def test_an_api_server_that_is_away_for_a_while_is_noted_and_survived(cluster, client, monkeypatch):
    monkeypatch.setattr(wait, "PAUSE", 0.05)
    cluster.put(run("Running"))
    answers = itertools.chain([AWAY] * 3, itertools.repeat((200, MADE)))
    cluster.answers.append(("GET", f"/workflows/{NAME}$", lambda: next(answers)))
    code, out, _ = client("watch", "--run", "first")
    assert code == 0
    assert out.count("(no answer) context test could not answer GET first-4f2a (503)") == 1


def test_an_api_server_that_stays_away_ends_it_with_170(cluster, client, monkeypatch):
    monkeypatch.setattr(wait, "PAUSE", 0.05)
    monkeypatch.setattr(wait, "PATIENCE", 0.3)
    cluster.put(run("Running"))
    cluster.answers.append(("GET", f"/workflows/{NAME}$", AWAY))
    assert client("watch", "--run", "first")[0] == 170


def test_a_workflow_that_is_deleted_under_it_is_said(cluster, client):
    cluster.put(run("Running"))

    def gone():
        cluster.workflows.pop(NAME, None)
        return 200, {"items": [], "metadata": {}}

    cluster.answers.append(("GET", "/pods$", gone))
    code, _, err = client("watch", "--run", "first")
    assert (code, err) == (
        3,
        "watch: Workflow first-4f2a was deleted; what is done stays in the store, make submit goes on from it\n",
    )


def test_pods_that_may_not_be_listed_end_it_with_the_missing_right(cluster, client):
    cluster.put(run("Running"))
    cluster.answers.append(("GET", "/pods$", forbidden("list", "pods", "")))
    code, _, err = client("watch", "--run", "first")
    assert code == 4
    assert "no right to list pods in namespace synaug: jane" in err


def test_ctrl_c_leaves_the_run_going(cluster, client, monkeypatch):
    cluster.put(run("Running"))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "read_snapshot", interrupted)
    code, _, err = client("watch", "--run", "first")
    assert code == 130
    assert "the run goes on" in err
    assert [method for method, *_ in cluster.requests if method != "GET"] == []


def test_without_a_run_s_name_the_newest_is_watched(cluster, client):
    older = run("Succeeded", **FINISHED)
    older["metadata"] |= {
        "name": "other-1111",
        "labels": {"synaug/run": "other"},
        "creationTimestamp": "2026-11-23T04:00:00Z",
    }
    plan = workflow("first-4f2a-plan", "Running", Nodes("p"), template="plan")
    plan["metadata"]["creationTimestamp"] = "2026-11-24T06:00:00Z"
    for made in (older, MADE, plan):
        cluster.put(made)
    assert client("watch", "--once")[1].startswith("first-4f2a   done 1 h")


def test_no_run_is_said_with_what_to_do(cluster, client):
    code, _, err = client("watch", "--run", "none")
    assert (code, err.count("\n")) == (3, 1)
    assert "no run 'none' in namespace 'synaug' of context test; `make submit` starts one" in err


def test_unchanged_states_are_not_said_again(cluster, client, monkeypatch):
    monkeypatch.setattr(watch, "PRINT", 3600.0)
    cluster.put(run("Running"))
    states = itertools.chain([(200, run("Running"))] * 3, itertools.repeat((200, MADE)))
    cluster.answers.append(("GET", f"/workflows/{NAME}$", lambda: next(states)))
    assert client("watch", "--run", "first")[1].count("first-4f2a   ") == 2


def test_a_terminal_is_drawn_anew_and_ends_with_the_last_state(cluster, monkeypatch, tmp_path):
    becomes(cluster, run("Running"), MADE)
    with open(tmp_path / "screen", "w") as screen:
        console = Console(file=screen, force_terminal=True, width=140, highlight=False)
        seen = watch._live(options.connect(Namespace(namespace=None, context=None)), NAME, console)
    drawn = (tmp_path / "screen").read_text()
    assert seen.workflow["status"]["phase"] == "Succeeded"
    assert "Ctrl-C leaves the run going" in drawn
    assert "first-4f2a   done" in drawn.rsplit("running", 1)[1]


def test_stop_waits_for_the_exit_handler(cluster, client):
    cluster.put(run("Running"))
    stopped = run("Failed", **FINISHED, message="Stopped with strategy 'Stop'")
    cluster.on_patch = lambda made: cluster.put(stopped | {"spec": made["spec"]})
    code, out, _ = client("stop", "--run", "first")
    assert (code, out) == (0, "first-4f2a is stopped; make submit RUN=first goes on from what is done\n")
    assert [body for method, _, body in cluster.requests if method == "PATCH"] == [{"spec": {"shutdown": "Stop"}}]


def test_stopping_what_has_ended_changes_nothing(cluster, client):
    cluster.put(MADE)
    code, out, _ = client("stop", "--run", "first")
    assert (code, out) == (0, "first-4f2a has ended already (Succeeded); nothing to stop\n")
    assert [method for method, *_ in cluster.requests if method != "GET"] == []


def test_a_stopped_run_is_told_from_a_failed_one(cluster, client):
    ended = attempt("Failed", message="workflow shutdown with strategy: Stop")
    stopped = run(
        "Failed", ("images", "Failed", ended, {"shard": "001"}), **FINISHED, message="Stopped with strategy 'Stop'"
    )
    stopped["spec"]["shutdown"] = "Stop"
    cluster.put(stopped)
    code, _, err = client("watch", "--run", "first")
    assert (code, err) == (3, "watch: first-4f2a was stopped; make submit goes on from what is done\n")
