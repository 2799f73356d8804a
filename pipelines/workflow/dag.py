"""The workflow: the order of a run (synaug.run.stages) as pods (docs/design.md §1)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hera.workflows import DAG, Parameter, Task, WorkflowTemplate
from hera.workflows.models import EmptyDirVolumeSource, ExecutorConfig, Metadata, PodGC, Volume

from pipelines import names
from pipelines.workflow import pods
from synaug import __version__

FAILED_STAY = PodGC(strategy="OnPodSuccess")  # failed pods, to be looked at


def run() -> WorkflowTemplate:
    """Make the workflow of a run.

    plan -> every shard: prompts -> images -> index -> every arm and seed: train -> evaluate -> report; at the end,
    finish. plan says what is left, as JSON lists: a fan-out over an empty list is skipped, and what depends on it goes
    on.
    """
    with template(
        "run", "a run: plan, prompts, images, index, train, evaluate, report", entrypoint="run", on_exit="finish"
    ) as workflow:
        plan, prompts, images, index = pods.plan(), pods.prompts(), pods.images(), pods.index()
        train, evaluate, report, _ = pods.train(), pods.evaluate(), pods.report(), pods.finish()
        shard_number, arm_and_seed = [Parameter(name="shard")], [Parameter(name="arm"), Parameter(name="seed")]

        with dag("shard", shard_number) as shard:  # no barrier between shards
            number = {"shard": pods.input_value("shard")}
            in_order(
                Task(name="prompts", template=prompts, arguments=number),
                Task(name="images", template=images, arguments=number),
            )
        with dag("training", arm_and_seed) as training:  # a dag counts as active while its pod waits to be tried again
            Task(name="train", template=train, arguments={name: pods.input_value(name) for name in ("arm", "seed")})

        shards = fan_out("shards", shard, {"shard": "{{item}}"})  # the chart sets parallelism: limits.gpus
        trainings = fan_out("trainings", training, {"arm": "{{item.arm}}", "seed": "{{item.seed}}"}, parallelism=1)
        evaluations = fan_out("evaluations", evaluate, {"arm": "{{item.arm}}", "seed": "{{item.seed}}"})

        with dag("run"):
            planned = Task(name="plan", template=plan)
            left = {name: {"left": planned.get_parameter(name)} for name in ("shards", "trainings", "evaluations")}
            in_order(
                planned,
                Task(name="shards", template=shards, arguments=left["shards"]),
                Task(name="index", template=index),
                Task(name="trainings", template=trainings, arguments=left["trainings"]),
                Task(name="evaluations", template=evaluations, arguments=left["evaluations"]),
                Task(name="report", template=report),
            )
    return workflow


def in_order(*tasks: Task) -> None:
    """Make each task wait for the one before it."""
    for before, after in pairwise(tasks):
        before.next(after)


def dag(name: str, inputs: list[Parameter] | None = None, **more: Any) -> DAG:
    """Make a DAG without failFast: what runs beside a failed task goes on to its end.

    With parallelism failFast can hang Argo (argo-workflows#16849).
    """
    return DAG(name=name, inputs=inputs, fail_fast=False, **more)


def fan_out(name: str, each: DAG | pods.Pod, arguments: dict[str, str], **more: Any) -> DAG:
    """Make a DAG of `each`, once for each item of the JSON list `left`."""
    with dag(name, [Parameter(name="left")], **more) as fan:
        Task(name=str(each.name), template=each, arguments=arguments, with_param=pods.input_value("left"))
    return fan


def one_pod(
    name: str, what: str, parameters: dict[str, str | None], pod: Callable[[], pods.Pod], **more: Any
) -> WorkflowTemplate:
    """Make a workflow of one pod."""
    with template(name, what, parameters, entrypoint=name, **more) as workflow:
        pod()
    return workflow


def plan() -> WorkflowTemplate:
    """Make the workflow that plans a run."""
    return one_pod("plan", "what a run will take: images, bytes, hours, cost", {"run": None, "config": None}, pods.plan)


def import_() -> WorkflowTemplate:
    """Make the workflow that imports a split."""
    parameters = {"source": None, "split": "train", "classes": "", "labels": "no-labels"}
    return one_pod("import", "labelled images into the store", parameters, pods.import_)


def fetch() -> WorkflowTemplate:
    """Make the workflow whose pod's log is the result.

    The pod stays until the client has read it and deletes the workflow.
    """
    parameters = {"run": None, "what": "report"}
    return one_pod("fetch", "one small object of the store, printed to the log", parameters, pods.fetch, pod_gc=None)


def preview() -> WorkflowTemplate:
    """Make the workflow that plans a run and makes a few of its images."""
    parameters = {"run": None, "config": None, "images": "20"}
    with template(
        "preview", "a contact sheet and a measured rate", parameters, entrypoint="planned-preview"
    ) as workflow:
        plan, preview = pods.plan(), pods.preview()
        with dag("planned-preview"):
            in_order(Task(name="plan", template=plan), Task(name="preview", template=preview))
    return workflow


def template(
    name: str,
    what: str,
    parameters: dict[str, str | None] | None = None,
    pod_gc: PodGC | None = FAILED_STAY,
    **more: Any,
) -> WorkflowTemplate:
    """Make what all workflows have in common.

    parameters: with their defaults; those of None must be given; run and config where there are none.
    """
    parameters = {"run": None, "config": None} if parameters is None else parameters
    labels = {"app.kubernetes.io/name": "synaug", names.WORKFLOW_LABEL: "{{workflow.name}}"}
    if "run" in parameters:
        labels[names.RUN_LABEL] = "{{workflow.parameters.run}}"
    return WorkflowTemplate(
        name=names.workflow_template(name),
        annotations={
            names.VERSION_ANNOTATION: __version__,
            "workflows.argoproj.io/title": f"synaug {name}",
            "workflows.argoproj.io/description": what,
        },
        arguments=[
            Parameter(name=key) if value is None else Parameter(name=key, value=value)
            for key, value in parameters.items()
        ],
        # a controller that archives would need an artifact store; the end of a failed stage's log is in ours
        archive_logs=False,
        automount_service_account_token=False,
        executor=ExecutorConfig(service_account_name="synaug-executor"),
        pod_gc=pod_gc,
        pod_metadata=Metadata(labels=labels),
        security_context=pods.pod_security(),
        service_account_name="synaug-stage",
        volumes=[Volume(name="tmp", empty_dir=EmptyDirVolumeSource())],
        **more,
    )
