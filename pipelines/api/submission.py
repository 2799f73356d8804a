"""Workflows in the cluster: started, found again, and kept from running over each other."""

from pipelines import names
from pipelines.api import wait
from pipelines.api.client import Cluster
from pipelines.api.errors import Conflict, NotFound
from synaug import __version__
from synaug.errors import DataError, UsageError

UI_ANNOTATION, ARGO_ANNOTATION = "synaug/ui-url", "synaug/argo-namespace"


def check_chart(cluster: Cluster, name: str = "run") -> dict:
    """Return the WorkflowTemplate.

    Raises DataError where the chart is missing, UsageError where it is of another version than this client.
    """
    template_name, namespace = names.workflow_template(name), cluster.namespace
    try:
        template = cluster.template(template_name)
    except NotFound as error:
        cluster.check_namespace()
        raise DataError(
            f"synaug is not installed in namespace {namespace!r} of {cluster.target.name} (no WorkflowTemplate "
            f"{template_name}); install the chart: helm install synaug helm/synaug -n {namespace} --set "
            "store.url=s3://bucket/prefix, or give NAMESPACE"
        ) from error
    version = template["metadata"].get("annotations", {}).get(names.VERSION_ANNOTATION)
    if version != __version__:
        raise UsageError(
            f"the chart in namespace {namespace!r} is version {version or 'unknown'}, this client {__version__}: they "
            f"must agree; helm upgrade synaug helm/synaug -n {namespace} --reuse-values, or use a checkout of "
            f"{version or 'the same version'}"
        )
    return template


def create(cluster: Cluster, workflow: dict, *, replace_live: bool = False) -> dict:
    """Create a Workflow; a finished one of that name is deleted and awaited first.

    Raises DataError for a live one, unless it may be replaced.
    """
    name = workflow["metadata"]["name"]
    if before := cluster.workflow(name):
        if not (replace_live or wait.finished(before) or before["metadata"].get("deletionTimestamp")):
            raise live(cluster, before)
        wait.delete(cluster, name)
    try:
        return cluster.create_workflow(workflow)
    except Conflict as error:  # somebody was quicker
        raise live(cluster, cluster.workflow(name) or workflow) from error


def live(cluster: Cluster, workflow: dict) -> DataError:
    """Make the error of a Workflow that runs already."""
    name, run = workflow["metadata"]["name"], workflow["metadata"].get("labels", {}).get(names.RUN_LABEL)
    if workflow["spec"]["workflowTemplateRef"]["name"] != names.workflow_template("run"):
        return DataError(
            f"{name} is running; wait for it, or delete it: kubectl delete workflow {name} -n {cluster.namespace}"
        )
    return DataError(
        f"{name} is running; `make watch RUN={run}` shows it, `make stop RUN={run}` stops it, then this goes on from "
        "there"
    )


def refuse_live(cluster: Cluster, run: str) -> None:
    """Raise DataError while the run runs, whatever its identity: a new plan would change it under its pods."""
    for before in _runs(cluster, run):
        if not wait.finished(before) and not before["metadata"].get("deletionTimestamp"):
            raise live(cluster, before)


def newest_run(cluster: Cluster, run: str | None) -> dict:
    """Return the newest Workflow of a run; run None: of all runs. Raises DataError where there is none."""
    if found := _runs(cluster, run):
        return max(found, key=lambda w: w["metadata"]["creationTimestamp"])
    check_chart(cluster)
    which = f"no run {run!r}" if run else "no run"
    where = f"namespace {cluster.namespace!r} of {cluster.target.name}"
    raise DataError(f"{which} in {where}; `make submit` starts one, RUN=NAME names another")


def _runs(cluster: Cluster, run: str | None) -> list[dict]:
    template = names.workflow_template("run")
    found = cluster.workflows_of(f"{names.RUN_LABEL}={run}" if run else names.RUN_LABEL)
    return [workflow for workflow in found if workflow["spec"].get("workflowTemplateRef", {}).get("name") == template]


def ui_line(cluster: Cluster, template: dict, workflow: str) -> str:
    """Say where the Argo UI shows a Workflow: the chart's argo.uiUrl, else how to reach one."""
    annotations = template["metadata"].get("annotations", {})
    path = f"/workflows/{cluster.namespace}/{workflow}"
    if url := annotations.get(UI_ANNOTATION):
        return f"{url.rstrip('/')}{path}"
    argo = annotations.get(ARGO_ANNOTATION) or "argo"
    return f"kubectl -n {argo} port-forward service/argo-server 2746, then https://localhost:2746{path}"
