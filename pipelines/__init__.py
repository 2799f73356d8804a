"""The workflow on Kubernetes: the same stages as pods. Knows Hera and the Kubernetes API, no torch.

From top to bottom; a module imports from its own layer and those below it (import-linter):

    __main__     `python -m pipelines COMMAND`
    commands/    one file per command, for people and for the workflow's own pods; options: the arguments they share
    operations/  one_pod_workflow (plan, import, preview, fetch), log_transfer (objects through a log), logs, watch
    status/      what `make watch` shows: argo_nodes, pods, run_progress, explanations, view (pure), read_snapshot
    api/         the client's side: kubeconfig, client, errors, run_reference, workflow_request, submission, wait
    launcher/    the pod that trains an arm: launcher, verdict (pure), jobs
    workflow/    what the chart holds: dag, pods, training_job, render
    names        every name of a cluster object
"""
