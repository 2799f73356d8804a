"""The plan of a job, made by one pod: what the run will take, before anything is spent."""

from pipelines import names
from pipelines.api import workflow_request
from pipelines.api.client import Cluster
from pipelines.commands.options import Job
from pipelines.operations import one_pod_workflow
from pipelines.status import argo_nodes
from synaug.errors import DataError


def plan(cluster: Cluster, job: Job) -> dict:
    """The estimate. Raises what plan refuses, with its exit code."""
    name = names.helper_workflow(job.workflow, "plan")
    body = workflow_request.workflow("plan", name, {"run": job.run, "config": job.text}, job.run)
    one_pod_workflow.note(f"planning {job.run} in the cluster ({name}) ...")
    workflow = one_pod_workflow.run(cluster, body, replace_live=True)
    estimate = argo_nodes.output(workflow, "plan", "estimate")
    if estimate is None:
        raise DataError(
            f"Workflow {name} succeeded without an estimate; the image's synaug is older than the chart: check image.tag"
        )
    return estimate
