"""The workflow: the order of a run (synaug.run.stages) as pods (docs/design.md §1)."""

from collections.abc import Callable
from itertools import groupby, pairwise
from typing import Any

from hera.workflows import DAG, Parameter, Task, WorkflowTemplate
from hera.workflows.models import EmptyDirVolumeSource, ExecutorConfig, Metadata, PodGC, Volume

from pipelines import names
from pipelines.workflow import pods
from synaug import __version__
from synaug.run.stages import STAGES, Stage

ONE_BY_ONE = ("trainings",)  # arms train one after another, each on all GPUs
FAILED_STAY = PodGC(strategy="OnPodSuccess")  # failed pods, to be looked at


def run() -> WorkflowTemplate:
    """Make the workflow of a run, in the order of the table of stages.

    plan -> every shard: prompts -> images -> index -> every arm and seed: train -> evaluate -> report; at the end,
    finish. plan says what is left, as JSON lists: a fan-out over an empty list is skipped, and what depends on it goes
    on. Stages that fan out over the same list are one chain for each of its items: no barrier between shards.
    """
    title = f"a run: {', '.join(('plan', *STAGES))}"
    with template("run", title, entrypoint="run", on_exit="finish") as workflow:
        plan, stage_pods = pods.plan(), {name: pods.of_stage(stage) for name, stage in STAGES.items()}
        pods.finish()
        groups = [list(group) for _, group in groupby(STAGES.values(), key=lambda stage: stage.fan_out or stage.name)]
        chains = [chain(stages, stage_pods) for stages in groups]
        templates = [
            fan_out(stages[0].fan_out, each, pods.INPUTS[stages[0].scope]) if stages[0].fan_out else each
            for stages, each in zip(groups, chains, strict=True)
        ]
        with dag("run"):
            planned = Task(name="plan", template=plan)
            tasks = []
            for stages, each in zip(groups, templates, strict=True):
                left = {"left": planned.get_parameter(stages[0].fan_out)} if stages[0].fan_out else None
                tasks.append(Task(name=str(each.name), template=each, arguments=left))
            in_order(planned, *tasks)
    return workflow


def chain(stages: list[Stage], stage_pods: dict[str, pods.Pod]) -> DAG | pods.Pod:
    """Make what is done for each item of a fan-out: its stages in order. One stage alone needs no DAG around its pod.

    Trainings do: a dag counts as active while its pod waits to be tried again.
    """
    fan, inputs = stages[0].fan_out, pods.INPUTS[stages[0].scope]
    if fan is None or (len(stages) == 1 and fan not in ONE_BY_ONE):
        return stage_pods[stages[0].name]
    with dag(fan.removesuffix("s"), [Parameter(name=name) for name in inputs]) as each:
        arguments = {name: pods.input_value(name) for name in inputs}
        in_order(*(Task(name=stage.name, template=stage_pods[stage.name], arguments=arguments) for stage in stages))
    return each


def in_order(*tasks: Task) -> None:
    """Make each task wait for the one before it."""
    for before, after in pairwise(tasks):
        before.next(after)


def dag(name: str, inputs: list[Parameter] | None = None, **more: Any) -> DAG:
    """Make a DAG without failFast: what runs beside a failed task goes on to its end.

    With parallelism failFast can hang Argo (argo-workflows#16849).
    """
    return DAG(name=name, inputs=inputs, fail_fast=False, **more)


def fan_out(name: str, each: DAG | pods.Pod, inputs: tuple[str, ...]) -> DAG:
    """Make a DAG of `each`, once for each item of the JSON list `left`.

    The chart sets the parallelism of shards: limits.gpus.
    """
    arguments = {key: "{{item}}" if len(inputs) == 1 else f"{{{{item.{key}}}}}" for key in inputs}
    with dag(name, [Parameter(name="left")], parallelism=1 if name in ONE_BY_ONE else None) as fan:
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
