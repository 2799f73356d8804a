"""The pods: one command each, as a namespace that enforces the *restricted* level admits them.

The chart merges image, resources, environment, selectors, tolerations and deadlines into them by template name (helm/synaug).
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

IMAGE = "synaug"  # the chart's image takes its place
TMP = "/tmp"  # the one writable folder: an emptyDir
OUTPUTS = f"{TMP}/outputs"  # a stage's small files for output parameters
RUN_YAML, CLASSES_YAML = f"{TMP}/run.yaml", f"{TMP}/classes.yaml"
JOB_YAML = "/etc/synaug/training-job.yaml"  # a ConfigMap of the chart
USER = 65532

# Argo 3.7.18 (buildRetryStrategyLocalScope): all variables are strings. exitCode is "-1" where the main container left none: the pod was
# deleted, evicted, lost with its node, or never created. `retries` is 0 after the first failure and counts retries of all causes: Argo can
# not count by code. Out of memory is told from another SIGKILL by how inferFailedReason begins: `main: OOMKilled (exit code 137)`. What the
# API server will not have stays so, and so does a deadline: both are told by how their messages begin.
RETRIED = (
    '(lastRetry.exitCode in ["-1", "64", "137", "143", "170"]'
    ' && !(lastRetry.message matches "^main: OOMKilled" && !(retries in ["0", "1"])))'
    ' && !(lastRetry.message matches "^[Pp]ods? .* is (forbidden|invalid)|^Pod was active on the node longer")'
)


def retries() -> RetryStrategy:
    """Preemption shows as Failed or as Error, so both are looked at, by the exit code."""
    backoff = Backoff(duration="10s", factor=IntOrString(2), cap="5m")
    return RetryStrategy(limit=20, retry_policy="Always", expression=RETRIED, backoff=backoff)


def pod_security() -> PodSecurityContext:
    return PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        seccomp_profile=SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> SecurityContext:
    return SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=Capabilities(drop=["ALL"]),
    )


@dataclass(kw_only=True)
class Pod(Container):
    """`python -m PROGRAM NAME ARGS`. shown: its name in Argo, 2 to 63 letters, digits, dots and dashes once inputs are filled in."""

    program: str = "synaug"
    shown: str | None = None

    def __post_init__(self):
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
    """$(SYNAUG_STORE) is filled in by the kubelet from the chart's environment."""
    return [command, "--store", "$(SYNAUG_STORE)", "--run", "{{workflow.parameters.run}}", *rest]


def given(name: str) -> str:
    return f"{{{{inputs.parameters.{name}}}}}"


def written(*files: str) -> list[Parameter]:
    """Output parameters from a stage's files. One that a failed stage did not write is empty, so that the stage's own error shows."""
    return [Parameter(name=name, value_from=ValueFrom(path=f"{OUTPUTS}/{name}", default="")) for name in files]


def text_file(name: str, path: str, parameter: str) -> RawArtifact:
    """A workflow's parameter as a file. It lies directly in the mounted /tmp: folders on the way would belong to argoexec alone."""
    return RawArtifact(
        name=name,
        path=path,
        data=f"{{{{workflow.parameters.{parameter}}}}}",
        archive=ArchiveStrategy(none=NoneStrategy()),
    )


def plan() -> Pod:
    return Pod(
        name="plan",
        args=stage_arguments("plan", "--config", RUN_YAML),
        inputs=[text_file("config", RUN_YAML, "config")],
        outputs=written("shards", "trainings", "evaluations", "estimate"),
    )


def prompts() -> Pod:
    return Pod(
        name="prompts",
        args=stage_arguments("prompts", "--shard", given("shard")),
        inputs=[Parameter(name="shard")],
        outputs=written("summary"),
        shown=f"prompts-{given('shard')}",
    )


def images() -> Pod:
    return Pod(
        name="images",
        args=stage_arguments("images", "--shard", given("shard")),
        inputs=[Parameter(name="shard")],
        outputs=written("summary"),
        shown=f"images-{given('shard')}",
    )


def index() -> Pod:
    return Pod(name="index", args=stage_arguments("index"))


def train() -> Pod:
    """The launcher of a PyTorchJob. It and `finish` are the only pods with rights on the API server."""
    arguments = [
        "--arm",
        given("arm"),
        "--seed",
        given("seed"),
        "--workflow",
        "{{workflow.name}}",
        "--uid",
        "{{workflow.uid}}",
    ]
    return Pod(
        name="train",
        program="pipelines",
        args=stage_arguments("launch", *arguments, "--job", JOB_YAML),
        inputs=[Parameter(name="arm"), Parameter(name="seed")],
        shown=f"train-{given('arm')}-{given('seed')}",
        service_account_name="synaug-launcher",
        automount_service_account_token=True,
    )


def evaluate() -> Pod:
    return Pod(
        name="evaluate",
        args=stage_arguments("evaluate", "--arm", given("arm"), "--seed", given("seed")),
        inputs=[Parameter(name="arm"), Parameter(name="seed")],
        shown=f"evaluate-{given('arm')}-{given('seed')}",
    )


def report() -> Pod:
    return Pod(name="report", args=stage_arguments("report"))


def finish() -> Pod:
    """The exit handler: also on `shutdown: Stop`, not on Terminate."""
    return Pod(
        name="finish",
        program="pipelines",
        args=["finish", "--workflow", "{{workflow.name}}"],
        service_account_name="synaug-launcher",
        automount_service_account_token=True,
    )


def import_() -> Pod:
    """classes: the text of a class list, imagenet-1k, or nothing; labels: `labels` (integers, positions in that list) or `no-labels`."""
    classes = (
        f"{{{{=workflow.parameters.classes in ['', 'imagenet-1k'] ? workflow.parameters.classes : '{CLASSES_YAML}'}}}}"
    )
    return Pod(
        name="import",
        args=[
            "import",
            "{{workflow.parameters.source}}",
            "--store",
            "$(SYNAUG_STORE)",
            "--split",
            "{{workflow.parameters.split}}",
            f"--classes={classes}",
            "--{{workflow.parameters.labels}}",
        ],
        inputs=[text_file("classes", CLASSES_YAML, "classes")],
    )


def preview() -> Pod:
    return Pod(
        name="preview",
        args=stage_arguments("preview", "--images", "{{workflow.parameters.images}}"),
        outputs=written("rate"),
    )


def fetch() -> Pod:
    return Pod(
        name="fetch", program="pipelines", args=stage_arguments("fetch", "--what", "{{workflow.parameters.what}}")
    )
