"""The plan of a job, made by one pod: what the run will take, before anything is spent."""

from pipelines import errand, names, nodes, request
from pipelines.cluster import Cluster
from pipelines.options import Job
from synaug.errors import DataError


def plan(cluster: Cluster, job: Job) -> dict:
    """The estimate. Raises what plan refuses, with its exit code."""
    name = names.helper_workflow(job.workflow, "plan")
    body = request.workflow("plan", name, {"run": job.run, "config": job.text}, job.run)
    errand.note(f"planning {job.run} in the cluster ({name}) ...")
    workflow = errand.run(cluster, body, replace_live=True)
    estimate = nodes.output(workflow, "plan", "estimate")
    if estimate is None:
        raise DataError(f"Workflow {name} succeeded without an estimate; the image's synaug is older than the chart: check image.tag")
    return estimate
