"""What is sent to the API server: a small Workflow that refers to the chart's WorkflowTemplate."""

from typing import Any

from pipelines import names
from synaug import __version__
from synaug.errors import UsageError

CONFIG_BYTES = (
    64 * 1024
)  # the argument is in the object twice, and once more in each attempt of plan; etcd takes 1.5 MB


def workflow(template: str, name: str, parameters: dict[str, str], run: str | None = None) -> dict[str, Any]:
    """Make the Workflow that refers to a template: run, plan, import, preview or fetch.

    Accounts, security and everything else come from the template. Raises UsageError for a value that Argo would not
    pass on as it is.
    """
    for parameter, value in parameters.items():
        check(parameter, value)
    title = f"synaug {template} {run or name}"
    labels = {"app.kubernetes.io/name": "synaug", names.WORKFLOW_LABEL: name} | ({names.RUN_LABEL: run} if run else {})
    annotations = {names.VERSION_ANNOTATION: __version__, "workflows.argoproj.io/title": title}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "workflowTemplateRef": {"name": names.workflow_template(template)},
            "arguments": {
                "parameters": [{"name": parameter, "value": value} for parameter, value in parameters.items()]
            },
        },
    }


def check(parameter: str, value: str) -> None:
    """Raise UsageError for a value that Argo would not pass on as it is.

    Argo fills values in by text: `{{` would begin a variable, and what Go's strconv.Quote writes as \\x7f or \\a is no
    JSON.
    """
    size = len(value.encode())
    if size > CONFIG_BYTES:
        raise UsageError(
            f"{parameter} has {size:,} bytes, {CONFIG_BYTES:,} at most travel in a workflow's argument; shorten "
            "glosses and own prompts of classes, or take `classes: imagenet-1k`"
        )
    if "{{" in value:
        line = next(line for line in value.splitlines() if "{{" in line)
        raise UsageError(
            f"{parameter} holds `{{{{`, which Argo takes for a variable of its own: {line.strip()[:80]!r}; write it "
            "otherwise"
        )
    if odd := {character for character in value if not (character.isprintable() or character in "\n\t")}:
        raise UsageError(
            f"{parameter} holds the control character {min(odd)!r}, which does not survive Argo; remove it"
        )


def stop() -> dict[str, Any]:
    """Make the patch of `make stop`: running pods are ended, the exit handler runs. `Terminate` would run none."""
    return {"spec": {"shutdown": "Stop"}}
