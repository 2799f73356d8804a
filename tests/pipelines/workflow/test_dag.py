"""The workflow means what the command line and the local runner mean; a restricted namespace admits its pods."""

import argparse
import importlib
import re
from graphlib import TopologicalSorter

import pytest

from pipelines import names
from pipelines.api import workflow_request
from pipelines.workflow import dag, render
from synaug import __version__
from synaug.__main__ import COMMANDS, parser_of, stage_names
from synaug.data.store import open_store
from synaug.run.stages import STAGES, Scope, Stage, Task
from tests import planned

VARIABLE = re.compile(r"\{\{(=?)\s*([^}]*)\}\}")
VALUES = {
    "shard": "017",
    "arm": "auxbn-1x",
    "seed": "0",
    "run": "first",
    "workflow.name": "first-4f2a",
    "workflow.uid": "u-1",
    "images": "20",
    "what": "report",
    "source": "s3://bucket/train-{000..009}.tar",
    "split": "val",
    "labels": "no-labels",
}


@pytest.fixture(scope="module")
def objects():
    return {name.removesuffix(".yaml"): made for name, made in render.objects().items()}


def templates(made) -> dict:
    return {each["name"]: each for each in made["spec"]["templates"]}


def pods(objects):
    return [
        each
        for name, made in objects.items()
        if name != "training-job"
        for each in made["spec"]["templates"]
        if "container" in each
    ]


def ordered(dag) -> list[dict]:
    tasks = {task["name"]: task for task in dag["tasks"]}
    depends = {name: [task["depends"]] if "depends" in task else [] for name, task in tasks.items()}
    return [tasks[name] for name in TopologicalSorter(depends).static_order()]


def groups(by_name, name="run") -> list[list[str]]:
    """Groups one after another, the stages of a group's chain in order, as in synaug.runner.local_executor.flow."""
    found = []
    for task in ordered(by_name[name]["dag"]):
        template = by_name[task["template"]]
        found.append(
            [stage for group in groups(by_name, task["template"]) for stage in group]
            if "dag" in template
            else [task["template"]]
        )
    return found


def test_the_dag_is_the_flow_of_the_local_runner(objects, tmp_path, monkeypatch):
    store = open_store(tmp_path / "store", create=True)
    planned.put_real(store)
    monkeypatch.setattr(
        "synaug.stages.plan._resolvers", lambda: [lambda config, role=role: planned.INFO[role] for role in planned.INFO]
    )
    plan, _ = planned.make_plan(store)
    local = [[task.stage for task in group[0]] for group in plan.flow(planned.configuration())]
    cluster = groups(templates(objects["run"]))
    assert cluster[0] == ["plan"]
    # arms train one after another, on all GPUs, so the workflow evaluates them together afterwards
    assert [stage for group in cluster[1:] for stage in group] == [stage for group in local for stage in group]
    assert ["prompts", "images"] in cluster and ["prompts", "images"] in local
    assert {stage for group in cluster for stage in group} == set(stage_names())


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        (Stage(name="publish", unit="file", scope=Scope.RUN, follows="report"), ["publish"]),
        (
            Stage(name="upscale", unit="image", scope=Scope.SHARD, follows="images", fan_out="shards"),
            ["prompts", "images", "upscale"],
        ),
        (
            Stage(name="calibrate", unit="step", scope=Scope.TRAINING, follows="train", fan_out="trainings"),
            ["train", "calibrate"],
        ),
    ],
)
def test_a_stage_that_is_added_to_the_table_is_in_the_workflow(monkeypatch, stage, place):
    rows = [row for name in STAGES for row in (name, *([stage.name] if stage.follows == name else []))]
    monkeypatch.setattr(dag, "STAGES", {name: STAGES.get(name, stage) for name in rows})
    by_name = templates(dag.run().to_dict())
    assert place in groups(by_name)
    (pod,) = [each for name, each in by_name.items() if name == stage.name]
    assert [filled(word) for word in pod["container"]["args"]] == [
        *[stage.name, "--store", "s3://bucket/prefix", "--run", "first"],
        *{
            Scope.RUN: [],
            Scope.SHARD: ["--shard", "017"],
            Scope.TRAINING: ["--arm", "auxbn-1x", "--seed", "0"],
        }[stage.scope],
    ]


def test_tasks_of_a_fan_out_say_what_the_plan_lists(objects):
    by_name = templates(objects["run"])
    tasks = {task["name"]: task for task in by_name["run"]["dag"]["tasks"]}
    for name, each in {"shards": "shard", "trainings": "training", "evaluations": "evaluate"}.items():
        assert tasks[name]["arguments"]["parameters"] == [
            {"name": "left", "value": f"{{{{tasks.plan.outputs.parameters.{name}}}}}"}
        ]
        (task,) = by_name[name]["dag"]["tasks"]
        assert (task["template"], task["withParam"]) == (each, "{{inputs.parameters.left}}")
        wanted = [parameter["name"] for parameter in by_name[each]["inputs"]["parameters"]]
        assert [parameter["name"] for parameter in task["arguments"]["parameters"]] == wanted
        assert name in {parameter["name"] for parameter in by_name["plan"]["outputs"]["parameters"]}


def test_arms_train_one_after_another_also_while_one_waits_to_be_tried_again(objects):
    by_name = templates(objects["run"])
    assert by_name["trainings"]["parallelism"] == 1
    assert (
        "dag" in by_name[by_name["trainings"]["dag"]["tasks"][0]["template"]]
    )  # Argo counts pods and dags; a pod in its backoff is none


def test_what_people_send_passes_a_controller_that_runs_templates_only():
    """templateReferencing: Strict; ValidateUserOverrides (workflow/util/merge.go of Argo 3.7.18) has the list."""
    allowed = {
        "arguments",
        "entrypoint",
        "shutdown",
        "suspend",
        "activeDeadlineSeconds",
        "priority",
        "ttlStrategy",
        "podGC",
        "volumeClaimGC",
        "archiveLogs",
        "workflowMetadata",
        "workflowTemplateRef",
        "metrics",
        "artifactGC",
    }
    for name in names.TEMPLATES:
        sent = workflow_request.workflow(name, "first-4f2a", {"run": "first"}, "first")
        assert set(sent) == {"apiVersion", "kind", "metadata", "spec"}
        assert "workflowTemplateRef" in sent["spec"] and set(sent["spec"]) <= allowed
    assert set(workflow_request.stop()["spec"]) <= allowed


def test_no_dag_fails_fast(objects):
    dags = [each["dag"] for made in objects.values() for each in made["spec"].get("templates", ()) if "dag" in each]
    assert dags and all(dag["failFast"] is False for dag in dags)


def filled(argument: str) -> str:
    argument = argument.replace("$(SYNAUG_STORE)", "s3://bucket/prefix")
    return VARIABLE.sub(
        lambda found: "" if found[1] else VALUES[re.sub(r"^(workflow|inputs)\.parameters\.", "", found[2])], argument
    )


def test_every_pod_calls_a_command_that_exists_with_arguments_that_it_takes(objects):
    called = set()
    for each in pods(objects):
        python, _, program = each["container"]["command"]
        name, *arguments = [filled(argument) for argument in each["container"]["args"]]
        assert python == "python"
        if program == "synaug":
            parser = parser_of(name)
        else:
            parser = argparse.ArgumentParser(exit_on_error=False)
            importlib.import_module(f"{program}.commands.{name}").add_arguments(parser)
        args = parser.parse_intermixed_args(arguments)
        assert (
            getattr(args, "run", "first") == "first"
            and getattr(args, "store", "s3://bucket/prefix") == "s3://bucket/prefix"
        )
        called.add((program, name))
    for_synaug = {
        ("synaug", name) for name in (*stage_names(), "import", "preview") if name != "train"
    }  # the PyTorchJob's
    assert called == for_synaug | {("pipelines", name) for name in ("launch", "finish", "fetch")}
    assert {"import", "preview"} <= set(COMMANDS)


def test_every_variable_is_given(objects):
    for name, made in objects.items():
        if name == "training-job":
            continue
        given = {parameter["name"] for parameter in made["spec"]["arguments"]["parameters"]}
        text = str(made)
        assert set(re.findall(r"workflow\.parameters\.(\w+)", text)) <= given
        for each in made["spec"]["templates"]:
            inputs = {parameter["name"] for parameter in each.get("inputs", {}).get("parameters", ())}
            assert set(re.findall(r"inputs\.parameters\.(\w+)", str(each))) == inputs, each["name"]


def test_units_are_named_as_in_the_store_and_in_the_form_that_argo_allows(objects):
    shown = {
        each["name"]: filled(each["annotations"]["workflows.argoproj.io/display-name"])
        for each in pods(objects)
        if "annotations" in each
    }
    tasks = [Task(stage=stage, shard=17) for stage in ("prompts", "images")]
    tasks += [Task(stage=stage, arm="auxbn-1x", seed=0) for stage in ("train", "evaluate")]
    assert shown == {task.stage: task.name for task in tasks}
    longest = f"evaluate-{'a' * names.ARM_LENGTH}-{2**31}"
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]", longest)


def test_pods_are_what_the_restricted_level_admits(objects):
    for name, made in objects.items():
        if name == "training-job":
            spec = made["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
            containers = spec["containers"]
        else:
            spec = made["spec"]
            containers = [each["container"] for each in spec["templates"] if "container" in each]
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {
            "type": "RuntimeDefault"
        }
        assert spec["automountServiceAccountToken"] is False
        for container in containers:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
            assert (
                context["readOnlyRootFilesystem"] and {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            )
        assert {"name": "tmp", "emptyDir": {}} in spec["volumes"]


def test_only_launcher_and_exit_handler_hold_a_token(objects):
    holding = {each["name"] for each in pods(objects) if each.get("automountServiceAccountToken")}
    assert holding == {"train", "finish"} == {each["name"] for each in pods(objects) if "serviceAccountName" in each}
    assert objects["run"]["spec"]["onExit"] == "finish"


def test_outputs_of_a_failed_stage_may_be_missing(objects):
    parameters = [parameter for each in pods(objects) for parameter in each.get("outputs", {}).get("parameters", ())]
    assert parameters and all(parameter["valueFrom"]["default"] == "" for parameter in parameters)


def test_templates_say_their_version(objects):
    assert {made["metadata"]["annotations"][names.VERSION_ANNOTATION] for made in objects.values()} == {__version__}
    assert {made["metadata"]["name"] for name, made in objects.items() if name != "training-job"} == {
        names.workflow_template(name) for name in names.TEMPLATES
    }
