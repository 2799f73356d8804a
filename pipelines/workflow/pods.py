"""The pods: one command each, as a namespace that enforces the *restricted* level admits them.

The chart merges image, resources, environment, selectors, tolerations and deadlines into them by template name
(helm/synaug).
"""

from dataclasses import dataclass

from hera.workflows import Container, Env, Parameter, RawArtifact, RetryStrategy
from hera.workflows.models import (
    ArchiveStrategy,
    Backoff,
    Capabilities,
    IntOrString,
    NoneStrategy,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    Template,
    ValueFrom,
    VolumeMount,
)

from pipelines import names
from synaug.run.stages import Scope, Stage

IMAGE = "synaug"  # the chart's image takes its place
TMP = "/tmp"  # the one writable folder: an emptyDir
OUTPUTS = f"{TMP}/outputs"  # a stage's small files for output parameters
RUN_YAML, CLASSES_YAML = f"{TMP}/run.yaml", f"{TMP}/classes.yaml"
JOB_YAML = "/etc/synaug/training-job.yaml"  # a ConfigMap of the chart
USER = 65532
INPUTS: dict[Scope, tuple[str, ...]] = {Scope.RUN: (), Scope.SHARD: ("shard",), Scope.TRAINING: ("arm", "seed")}

# Argo 3.7.18 (buildRetryStrategyLocalScope): all variables are strings. exitCode is "-1" where the main container left
# none: the pod was deleted, evicted, lost with its node, or never created. `retries` is 0 after the first failure and
# counts retries of all causes: Argo cannot count by code. How inferFailedReason begins distinguishes out of memory from
# another SIGKILL: `main: OOMKilled (exit code 137)`. What the API server does not accept stays so, and so does a
# deadline: both are known by how their messages begin.
RETRIED = (
    '(lastRetry.exitCode in ["-1", "64", "137", "143", "170"]'
    ' && !(lastRetry.message matches "^main: OOMKilled" && !(retries in ["0", "1"])))'
    ' && !(lastRetry.message matches "^[Pp]ods? .* is (forbidden|invalid)|^Pod was active on the node longer")'
)


def retries() -> RetryStrategy:
    """Make the retry strategy of a pod.

    Preemption shows as Failed or as Error, so both are looked at, by the exit code.
    """
    backoff = Backoff(duration="10s", factor=IntOrString(2), cap="5m")
    return RetryStrategy(limit=20, retry_policy="Always", expression=RETRIED, backoff=backoff)


def pod_security() -> PodSecurityContext:
    """Make a pod's security context at the restricted level."""
    return PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        seccomp_profile=SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> SecurityContext:
    """Make a container's security context at the restricted level."""
    return SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=Capabilities(drop=["ALL"]),
    )


@dataclass(kw_only=True)
class Pod(Container):
    """`python -m PROGRAM ARGS`, at the restricted level, tried again.

    shown: its name in Argo, 2 to 63 letters, digits, dots and dashes once inputs are filled in.
    """

    program: str = "synaug"
    shown: str | None = None

    def __post_init__(self) -> None:
        assert self.name is not None
        self.image, self.command = IMAGE, ["python", "-m", self.program]
        self.env = [Env(name="HOME", value=TMP), Env(name="SYNAUG_OUTPUTS", value=OUTPUTS)]
        self.volume_mounts = [VolumeMount(name="tmp", mount_path=TMP)]
        self.security_context, self.retry_strategy = container_security(), retries()
        self.labels = {names.STAGE_LABEL: self.name}
        super().__post_init__()

    def _build_template(self) -> Template:
        template = super()._build_template()
        if self.shown:  # on the template itself; Hera's own annotations go to the pod
            template.annotations = {"workflows.argoproj.io/display-name": self.shown}
        return template


def stage_arguments(command: str, *rest: str) -> list[str]:
    """Make a stage's arguments; the kubelet fills in $(SYNAUG_STORE) from the chart's environment."""
    return [command, "--store", "$(SYNAUG_STORE)", "--run", "{{workflow.parameters.run}}", *rest]


def input_value(name: str) -> str:
    """Spell the variable that Argo fills in with a template's input."""
    return f"{{{{inputs.parameters.{name}}}}}"


def scope_arguments(scope: Scope) -> list[str]:
    """Make the arguments that say which task of a stage is meant, of the template's inputs."""
    return [word for name in INPUTS[scope] for word in (f"--{name}", input_value(name))]


def shown(stage: Stage) -> str:
    """Name a stage's pod in Argo: `images-017`; nothing for a stage that is done once."""
    inputs = INPUTS[stage.scope]
    return "-".join([stage.name, *map(input_value, inputs)]) if inputs else ""


def output_files(*files: str) -> list[Parameter]:
    """Make output parameters of a stage's files.

    One that a failed stage did not write is empty, so that the stage's own error shows.
    """
    return [Parameter(name=name, value_from=ValueFrom(path=f"{OUTPUTS}/{name}", default="")) for name in files]


def text_file(name: str, path: str, parameter: str) -> RawArtifact:
    """Make a file of a workflow's parameter, directly in the mounted /tmp.

    Folders on the way would belong to argoexec alone.
    """
    return RawArtifact(
        name=name,
        path=path,
        data=f"{{{{workflow.parameters.{parameter}}}}}",
        archive=ArchiveStrategy(none=NoneStrategy()),
    )


def plan() -> Pod:
    """Make the pod that plans a run and lists what is left of it."""
    return Pod(
        name="plan",
        args=stage_arguments("plan", "--config", RUN_YAML),
        inputs=[text_file("config", RUN_YAML, "config")],
        outputs=output_files("shards", "trainings", "evaluations", "estimate"),
    )


def of_stage(stage: Stage) -> Pod:
    """Make the pod of a stage; its scope gives its inputs, arguments and name in Argo."""
    if stage.name == "train":
        return train(stage)
    inputs = INPUTS[stage.scope]
    return Pod(
        name=stage.name,
        args=stage_arguments(stage.name, *scope_arguments(stage.scope)),
        inputs=[Parameter(name=name) for name in inputs] or None,
        outputs=output_files("summary") if stage.scope is Scope.SHARD else None,
        shown=shown(stage),
    )


def train(stage: Stage) -> Pod:
    """Make the launcher of a PyTorchJob. It and `finish` are the only pods with rights on the API server."""
    owner = ["--workflow", "{{workflow.name}}", "--uid", "{{workflow.uid}}"]
    return Pod(
        name=stage.name,
        program="pipelines",
        args=stage_arguments("launch", *scope_arguments(stage.scope), *owner, "--job", JOB_YAML),
        inputs=[Parameter(name=name) for name in INPUTS[stage.scope]],
        shown=shown(stage),
        service_account_name="synaug-launcher",
        automount_service_account_token=True,
    )


def finish() -> Pod:
    """Make the exit handler, which runs also on `shutdown: Stop`, not on Terminate."""
    return Pod(
        name="finish",
        program="pipelines",
        args=["finish", "--workflow", "{{workflow.name}}"],
        service_account_name="synaug-launcher",
        automount_service_account_token=True,
    )


def import_() -> Pod:
    """Make the pod that imports a split.

    classes: the text of a class list, imagenet-1k, or nothing; labels: `labels` (integers, positions in that list) or
    `no-labels`.
    """
    classes = (
        f"{{{{=workflow.parameters.classes in ['', 'imagenet-1k'] ? workflow.parameters.classes : '{CLASSES_YAML}'}}}}"
    )
    split = ["--split", "{{workflow.parameters.split}}", f"--classes={classes}", "--{{workflow.parameters.labels}}"]
    return Pod(
        name="import",
        args=["import", "{{workflow.parameters.source}}", "--store", "$(SYNAUG_STORE)", *split],
        inputs=[text_file("classes", CLASSES_YAML, "classes")],
    )


def preview() -> Pod:
    """Make the pod that makes a few images and measures their rate."""
    return Pod(
        name="preview",
        args=stage_arguments("preview", "--images", "{{workflow.parameters.images}}"),
        outputs=output_files("rate"),
    )


def fetch() -> Pod:
    """Make the pod that prints one small object of the store."""
    return Pod(
        name="fetch",
        program="pipelines",
        args=stage_arguments("fetch", "--what", "{{workflow.parameters.what}}"),
    )
