"""`make submit` and `make plan` against a server that answers as an API server does."""

import re
import time

import pytest

from pipelines import names
from synaug.config.load import load_config
from tests.pipelines.api_server import status
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, whole, workflow

RUN = names.workflow("demo", load_config("demo"))


def planned(api, **changes):
    """The plan pod of a new Workflow succeeds at once."""

    def on_create(made):
        name = made["metadata"]["name"]
        if name.endswith("-plan"):
            outputs = plan_outputs(estimate=estimate(**changes))
            nodes = Nodes(name).add("plan", "Succeeded", attempt("Succeeded"), outputs=outputs)
            api.put(made | {"status": workflow(name, "Succeeded", nodes)["status"]})

    api.on_create = on_create


def created(api) -> list[str]:
    return [body["metadata"]["name"] for method, path, body in api.requests if method == "POST"]


def test_submit_plans_then_starts_the_run(cluster, client):
    planned(cluster)
    code, out, err = client("submit", "--config", "demo", "--scale", "1x")
    assert (code, created(cluster)) == (0, [f"{RUN}-plan", RUN]), err
    assert "run           first, scale 1x" in out
    assert "make watch RUN=demo" in out
    assert f"port-forward service/argo-server 2746, then https://localhost:2746/workflows/synaug/{RUN}" in out
    made = cluster.workflows[RUN]
    parameters = {p["name"]: p["value"] for p in made["spec"]["arguments"]["parameters"]}
    assert made["spec"]["workflowTemplateRef"] == {"name": "synaug-run"}
    assert parameters["run"] == "demo"
    assert "scale: 1x" in parameters["config"]
    assert made["metadata"]["labels"]["synaug/run"] == "demo"


def test_the_chart_s_address_of_the_argo_ui_is_linked(cluster, client):
    planned(cluster)
    cluster.templates["synaug-run"]["metadata"]["annotations"]["synaug/ui-url"] = "https://argo.example/"
    assert f"https://argo.example/workflows/synaug/{RUN}\n" in client("submit", "--config", "demo")[1]


def test_plan_prints_the_estimate_and_starts_nothing_else(cluster, client):
    planned(cluster)
    code, out, _ = client("plan", "--config", "demo")
    assert (code, out, created(cluster)) == (0, "run           first, scale 1x\n", [f"{RUN}-plan"])


def test_a_live_run_is_refused_before_anything_is_planned(cluster, client):
    cluster.put(workflow(RUN, "Running", Nodes(RUN), run="demo"))
    code, _, err = client("submit", "--config", "demo")
    assert code == 3
    assert err.startswith(
        f"submit: {RUN} is running; `make watch RUN=demo` shows it, `make stop RUN=demo` stops it, then"
    )
    assert created(cluster) == []


def test_a_live_run_of_another_identity_is_refused_too(cluster, client):
    cluster.put(workflow("demo-ffff", "Running", Nodes("demo-ffff"), run="demo"))
    code, _, err = client("plan", "--config", "demo")
    assert code == 3
    assert "demo-ffff is running" in err


def test_a_finished_run_of_that_name_is_deleted_in_the_foreground_first(cluster, client):
    planned(cluster)
    cluster.put(workflow(RUN, "Failed", Nodes(RUN), run="demo"))
    assert client("submit", "--config", "demo")[0] == 0
    deletions = [(path.rsplit("/", 1)[1], body) for method, path, body in cluster.requests if method == "DELETE"]
    assert deletions == [(RUN, {"propagationPolicy": "Foreground"})]


def test_a_deletion_is_awaited(cluster, client):
    """Foreground deletion leaves the object until its pods are gone."""
    planned(cluster)
    cluster.put(workflow(RUN, "Succeeded", Nodes(RUN), run="demo"))
    looked = []

    def deleted_later():
        made = cluster.workflows[RUN]
        made["metadata"]["deletionTimestamp"] = "2026-11-24T10:00:00Z"
        cluster.put(made)
        return 200, made

    def look():
        looked.append(RUN)
        if RUN in cluster.workflows and len(looked) > 2:
            cluster.remove(RUN)
        return (
            (200, cluster.workflows[RUN])
            if RUN in cluster.workflows
            else status(404, "NotFound", "no", name=RUN, kind="workflows")
        )

    cluster.answers += [("DELETE", f"/{RUN}$", deleted_later), ("GET", f"/workflows/{RUN}$", look)]
    assert client("submit", "--config", "demo")[0] == 0
    assert created(cluster)[-1] == RUN


def test_what_the_plan_pod_refuses_comes_through_with_its_exit_code(cluster, client):
    """A run whose identity changed: exit 3."""
    line = "run 'demo' has prompts or images that were made otherwise: seed: 0 then, 1 now; "
    line += "take another --run, or set it back"

    def on_create(made):
        nodes = Nodes(made["metadata"]["name"]).add("plan", "Failed", attempt("Failed", exit=3, line=line))
        cluster.put(made | {"status": workflow("x", "Failed", nodes)["status"]})

    cluster.on_create = on_create
    code, _, err = client("submit", "--config", "demo")
    assert code == 3
    assert err.endswith(f"submit: {line} (exit 3 of plan)\n")
    assert RUN not in cluster.workflows


def test_a_store_that_pods_cannot_reach_is_said_while_plan_is_tried_again(cluster, client):
    line = "the store s3://bucket/prefix at http://s3:9000 did not answer for 60 s: connection refused"

    def on_create(made):
        name = made["metadata"]["name"]
        if not name.endswith("-plan"):
            return
        again = Nodes(name).add("plan", "Running", attempt("Failed", exit=170, line=line), attempt("Running"))
        cluster.put(made | {"status": workflow(name, "Running", again)["status"]})
        done = Nodes(name).add(
            "plan",
            "Succeeded",
            attempt("Failed", exit=170, line=line),
            attempt("Succeeded"),
            outputs=plan_outputs(estimate=estimate()),
        )
        looks = iter(range(1))

        def later():
            if next(looks, None) is None:
                cluster.put(made | {"status": workflow(name, "Succeeded", done)["status"]})
            return 200, {"items": [], "metadata": {}}

        cluster.answers.append(("GET", "/pods$", later))

    cluster.on_create = on_create
    code, _, err = client("submit", "--config", "demo")
    assert code == 0
    assert err.count(f"retrying plan: exit 170, {line}\n") == 1


LIMITED = ("submit", "--config", "demo", "limits.cost=10", "compute.price=2")


@pytest.mark.parametrize(
    ("forecast", "reason"),
    [
        (
            whole(12.5, 2.0),
            "the run would cost 12.50, more than limits.cost 10.00; YES=1 spends it, or raise the limit",
        ),
        (
            whole(12.5, 2.0, ("train",)),
            "would cost at least 12.50 (train: unmeasured, make preview measures), more than limits.cost 10.00",
        ),
        (
            whole(0.0, 2.0, ("train",)),
            "the cost is unknown (train: unmeasured, make preview measures), and limits.cost is 10.00",
        ),
        (whole(), "the cost is unknown, since compute.price is not given, and limits.cost is 10.00"),
    ],
)
def test_above_the_limit_or_unknown_the_cost_must_be_confirmed(cluster, client, forecast, reason):
    planned(cluster, whole=forecast)
    code, _, err = client(*LIMITED)
    assert code == 2
    assert reason in err
    assert RUN not in cluster.workflows
    assert client(*LIMITED, "--yes")[0] == 0


@pytest.mark.parametrize(("answer", "expected"), [("y", 0), ("yes", 0), ("", 2), ("n", 2)])
def test_at_a_terminal_a_person_is_asked(cluster, client, monkeypatch, answer, expected):
    planned(cluster, whole=whole(12.5, 2.0))
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    assert client(*LIMITED)[0] == expected
    assert asked == ["the run would cost 12.50, more than limits.cost 10.00. Start it? [y/N] "]
    assert (RUN in cluster.workflows) == (expected == 0)


DONE = {name: stage | {"done": stage["total"]} for name, stage in estimate()["stages"].items()}


@pytest.mark.parametrize("forecast", [{"whole": whole(9.0, 2.0)}, {"whole": whole(0.0), "stages": DONE}])
def test_below_the_limit_or_with_nothing_left_nobody_is_asked(cluster, client, forecast):
    planned(cluster, **forecast)
    assert client(*LIMITED)[0] == 0


def test_submitting_takes_less_than_two_seconds(cluster, client):
    planned(cluster)
    begun = time.process_time()  # of a core, so that what else runs on the machine does not count
    assert client("submit", "--config", "demo")[0] == 0
    assert time.process_time() - begun < 2


BAD = [
    (["--scale", "6"], r"scale: '6' is no scale; give a whole multiple of the real images, like 1x, 2x or 6x"),
    (["--scale", "x6"], r"scale: 'x6' is no scale; give"),
    (["--scale", "0x"], r"scale: '0x' is no scale; give"),
    (["--run", "My_Run"], r"run 'My_Run' \(6 characters\): on a cluster a name is a DNS label of at most 30"),
    (["--run", "a" * 31], r"\(31 characters\): on a cluster a name is a DNS label of at most 30"),
    (["--config", "missing.yaml"], r"there is no configuration file 'missing.yaml'; give a run.yaml, or a preset"),
    (["--config", "big.yaml"], r"config has \d+,\d+ bytes, 65,536 at most travel in a workflow\'s argument; shorten"),
    ([], r"no configuration: there is no run.yaml here \(`synaug init` writes one\); give CONFIG=FILE or a preset"),
    (["--context", "other"], r"KUBECONTEXT=other: .* has no such context; it has test"),
]


@pytest.mark.parametrize(
    ("arguments", "line"), BAD, ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else ""
)
def test_what_cannot_be_meant_is_one_line_and_exit_2(cluster, client, tmp_path, arguments, line):
    classes = "".join(f"  - {{id: c{n}, names: [class {n}], gloss: {'long ' * 20}}}\n" for n in range(700))
    (tmp_path / "big.yaml").write_text(f"classes:\n{classes}")
    given = arguments if not arguments or "--config" in arguments else ["--config", "demo", *arguments]
    code, _, err = client("submit", *given)
    assert (code, err.count("\n")) == (2, 1), err
    assert re.search(line, err), err
    assert cluster.requests == []
