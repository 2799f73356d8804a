"""Every pod that comes out of the chart, whatever the values."""

import copy
import re

import pytest
import yaml

from synaug import __version__
from synaug.__main__ import parser_of
from tests.helm.chart import (
    CHART,
    DEVELOPMENT,
    SCENARIOS,
    SECRETS,
    STORE,
    Pod,
    one,
    pods,
    rendered,
    scenario,
    training_job,
)
from tests.helm.restricted import violations

KINDS = {
    "plan",
    "prompts",
    "images",
    "index",
    "train",
    "worker",
    "evaluate",
    "report",
    "finish",
    "import",
    "preview",
    "fetch",
    "test",
}
GPU_KINDS = {"prompts", "images", "preview", "evaluate", "worker"}
LIGHT_KINDS = {"index", "train", "report", "finish", "fetch", "test"}  # import no torch
CASES = [pytest.param(STORE | SECRETS, id="defaults")]
CASES += [
    pytest.param(scenario(path) | SECRETS, id=f"{path.parent.name}/{path.stem}") for path in (*SCENARIOS, DEVELOPMENT)
]


@pytest.fixture(scope="module")
def defaults() -> list[dict]:
    return rendered(STORE | SECRETS)


def by_kind(documents: list[dict]) -> dict[str, Pod]:
    return {pod.kind: pod for pod in pods(documents)}


@pytest.mark.parametrize("values", CASES)
def test_every_pod_is_admitted_at_the_restricted_level(values):
    found = list(pods(rendered(values)))
    assert {pod.kind for pod in found} == KINDS
    assert {pod.name: list(violations(pod.spec)) for pod in found} == {pod.name: [] for pod in found}


@pytest.mark.parametrize("values", CASES)
def test_every_pod_gets_the_pull_secrets_the_lost_node_tolerations_and_resources(values):
    for pod in pods(rendered(values)):
        assert pod.spec["imagePullSecrets"] == [{"name": "registry"}], pod.name
        lost = {
            each["key"]: each["tolerationSeconds"]
            for each in pod.spec["tolerations"]
            if each.get("effect") == "NoExecute"
        }
        assert lost == {"node.kubernetes.io/not-ready": 60, "node.kubernetes.io/unreachable": 60}, pod.name
        for container in [*pod.spec.get("initContainers", ()), *pod.spec["containers"]]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), f"{pod.name}: {container['name']}"
            assert "memory" in container["resources"]["limits"], f"{pod.name}: {container['name']}"


@pytest.mark.parametrize("values", CASES)
def test_only_the_launcher_and_the_exit_handler_mount_a_token_of_their_own(values):
    for pod in pods(rendered(values)):
        account = "synaug-launcher" if pod.kind in ("train", "finish") else "synaug-stage"
        assert pod.spec["serviceAccountName"] == account, pod.name
        assert pod.spec["automountServiceAccountToken"] is (account == "synaug-launcher"), pod.name
        mounts = {mount["name"] for mount in pod.main["volumeMounts"]}
        assert "exec-sa-token" not in mounts, f"{pod.name}: Argo's token is not the command's"


@pytest.mark.parametrize("values", CASES)
def test_every_mount_has_its_volume_and_nothing_but_tmp_and_shared_memory_is_written(values):
    for pod in pods(rendered(values)):
        names = [volume["name"] for volume in pod.spec["volumes"]]
        assert len(names) == len(set(names)), pod.name
        assert pod.main["securityContext"]["readOnlyRootFilesystem"] is True, pod.name
        for mount in pod.main["volumeMounts"]:
            assert mount["name"] in names, pod.name
            assert mount["mountPath"] in ("/tmp", "/dev/shm") or mount["readOnly"] is True, f"{pod.name}: {mount}"


def test_gpu_pods_ask_for_the_resource_and_stay_where_they_are(defaults):
    for kind, pod in by_kind(defaults).items():
        resources = pod.main["resources"]
        expected = "1" if kind in GPU_KINDS else None
        assert (resources["requests"].get("nvidia.com/gpu"), resources["limits"].get("nvidia.com/gpu")) == (
            expected,
            expected,
        ), pod.name
        assert ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec["tolerations"]) == (
            kind in GPU_KINDS
        )
        if kind in GPU_KINDS:
            assert pod.metadata["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false", pod.name
            assert pod.metadata["annotations"]["karpenter.sh/do-not-disrupt"] == "true", pod.name


def test_without_a_gpu_resource_none_is_asked_for_and_no_gpu_node_wanted():
    values = STORE | {"gpu": {"resource": "", "nodeSelector": {"pool": "gpu"}}}
    for pod in pods(rendered(values)):
        assert not [key for key in pod.main["resources"]["requests"] if "gpu" in key], pod.name
        assert not pod.spec.get("nodeSelector"), pod.name


def test_pods_that_ask_for_a_gpu_compute_on_it_or_fail(defaults):
    for pod in by_kind(defaults).values():
        assert ("compute.device=cuda" in pod.main.get("args", ())) == (pod.kind in GPU_KINDS), pod.name
        if pod.kind in GPU_KINDS:
            name, *arguments = [re.sub(r"\{\{.*?\}\}", "0", each) for each in pod.main["args"]]  # what Argo fills in
            if pod.kind == "worker":  # what the launcher fills in
                arguments = ["--store", "s3://b", "--run", "first", "--arm", "naive", "--seed", "0", *arguments]
            assert parser_of(name).parse_intermixed_args(arguments).overrides == ["compute.device=cuda"], pod.name
    for values in ({"gpu": {"device": "auto"}}, {"gpu": {"resource": ""}}):
        assert not [
            pod.name for pod in pods(rendered(STORE | values)) if "compute.device=cuda" in pod.main.get("args", ())
        ], values
    on_cpu = by_kind(rendered(STORE | {"pods": {"images": {"gpus": 0}}}))["images"]
    assert "compute.device=cuda" not in on_cpu.main["args"]


def test_a_runtime_class_goes_to_the_pods_that_ask_for_a_gpu(defaults):
    assert not [pod.name for pod in pods(defaults) if "runtimeClassName" in pod.spec]
    found = by_kind(rendered(STORE | {"gpu": {"runtimeClass": "nvidia"}}))
    assert {kind for kind, pod in found.items() if pod.spec.get("runtimeClassName") == "nvidia"} == GPU_KINDS


def test_progress_is_told_every_ten_seconds(defaults):
    for pod in pods(defaults):
        wait = next((each for each in pod.spec["containers"] if each["name"] == "wait"), None)
        told = {"name": "ARGO_PROGRESS_PATCH_TICK_DURATION", "value": "10s"}
        assert wait is None or wait["env"] == [told], pod.name


def test_the_gpu_pool_selects_nodes_and_goes_to_plan_with_the_number_of_gpus():
    documents = rendered(STORE | {"gpu": {"pool": "a100", "nodeSelector": {"gpu": "a100"}}, "limits": {"gpus": 8}})
    found = by_kind(documents)
    assert {kind for kind, pod in found.items() if pod.spec.get("nodeSelector") == {"gpu": "a100"}} == GPU_KINDS
    assert found["plan"].main["args"][-2:] == ["compute.pool=a100", "compute.gpus=8"]
    templates = {each["name"]: each for each in one(documents, "WorkflowTemplate", "synaug-run")["spec"]["templates"]}
    parallel = {name: each["parallelism"] for name, each in templates.items() if "parallelism" in each}
    assert parallel == {"shards": 8, "evaluations": 8, "trainings": 1}


def test_a_kinds_own_node_labels_win_over_the_gpus_and_those_over_the_defaults():
    values = {
        "gpu": {"nodeSelector": {"pool": "gpu", "zone": "a"}},
        "pods": {"default": {"nodeSelector": {"pool": "cpu"}}, "prompts": {"nodeSelector": {"pool": "small-gpu"}}},
    }
    found = {kind: pod.spec["nodeSelector"] for kind, pod in by_kind(rendered(STORE | values)).items()}
    assert found["index"] == {"pool": "cpu"}
    assert found["images"] == {"pool": "gpu", "zone": "a"}
    assert found["prompts"] == {"pool": "small-gpu", "zone": "a"}


def test_without_limits_nothing_is_held_back(defaults):
    templates = {each["name"]: each for each in one(defaults, "WorkflowTemplate", "synaug-run")["spec"]["templates"]}
    assert {name for name, each in templates.items() if "parallelism" in each} == {"trainings"}
    assert not [arg for arg in templates["plan"]["container"]["args"] if "=" in arg]


def test_argo_expressions_come_through_as_they_were_rendered(defaults):
    for name in ("run", "plan", "import", "preview", "fetch"):
        source = yaml.safe_load((CHART / "files" / f"{name}.yaml").read_text())
        assert _without_chart_values(one(defaults, "WorkflowTemplate", f"synaug-{name}")) == _without_chart_values(
            source
        )


def _without_chart_values(document: dict) -> dict:
    """What Hera alone decides: all but the fields that the chart sets."""
    document = copy.deepcopy(document)
    document["metadata"].pop("labels", None)
    for annotation in ("synaug/argo-namespace", "synaug/ui-url"):
        document["metadata"]["annotations"].pop(annotation, None)
    for field in ("imagePullSecrets", "podSpecPatch", "ttlStrategy"):
        document["spec"].pop(field, None)
    for template in document["spec"]["templates"]:
        for field in ("volumes", "tolerations", "nodeSelector", "activeDeadlineSeconds"):
            template.pop(field, None)
        template.get("metadata", {}).pop("annotations", None)
        if "args" in template.get("container", {}):
            template["container"]["args"] = [
                each for each in template["container"]["args"] if not each.startswith("compute.")
            ]
        for field in ("image", "imagePullPolicy", "resources", "env", "volumeMounts", "ports"):
            template.get("container", {}).pop(field, None)
    return document


def test_the_small_image_goes_to_the_pods_without_torch_and_a_digest_wins():
    digest = f"sha256:{'0' * 64}"
    image = {"repository": "r/synaug", "tag": "1", "digest": digest, "control": {"repository": "r/synaug-control"}}
    for pod in pods(rendered(STORE | {"image": image})):
        small = pod.kind in LIGHT_KINDS
        assert pod.main["image"] == (f"r/synaug-control:{__version__}" if small else f"r/synaug@{digest}"), pod.name


def test_credentials_come_from_the_named_keys_and_models_only_where_they_are_read():
    values = {
        "store": {
            "url": "s3://bucket",
            "endpoint": "http://s3:7070",
            "secret": "keys",
            "ca": {"configMap": "ca"},
            "secretKeys": {"accessKeyId": "id", "sessionToken": "session"},
        },
        "models": {"claim": "weights", "tokenSecret": {"name": "hub"}},
    }
    for pod in pods(rendered(values)):
        env = {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in pod.main["env"]}
        assert env["AWS_ACCESS_KEY_ID"] == {"name": "keys", "key": "id"}, pod.name
        assert env["AWS_SECRET_ACCESS_KEY"] == {"name": "keys", "key": "AWS_SECRET_ACCESS_KEY"}, pod.name
        assert env["AWS_SESSION_TOKEN"] == {"name": "keys", "key": "session"}, pod.name
        assert env["AWS_ENDPOINT_URL"] == "http://s3:7070" and env["AWS_CA_BUNDLE"] == "/etc/synaug/ca/ca.crt", pod.name
        loads = pod.kind in GPU_KINDS | {"plan", "test"}
        claims = [v["persistentVolumeClaim"] for v in pod.spec["volumes"] if "persistentVolumeClaim" in v]
        assert claims == ([{"claimName": "weights", "readOnly": True}] if loads else []), pod.name
        assert (env.get("HF_TOKEN") == {"name": "hub", "key": "token"}) == loads, pod.name
        assert (env.get("HF_HUB_CACHE") == "/models/hub") == loads, pod.name
        assert (env.get("HF_HUB_OFFLINE") == "1") == loads, (
            f"{pod.name}: nothing can be downloaded to a claim that is mounted read-only"
        )


def test_an_endpoints_key_reaches_the_pods_that_ask_it_and_no_other(defaults):
    secret = {"name": "vllm", "key": "token", "variable": "VLLM_KEY"}
    given = {
        pod.kind: each["valueFrom"]["secretKeyRef"]
        for pod in pods(rendered(STORE | {"llm": {"keySecret": secret}}))
        for each in pod.main["env"]
        if each["name"] == "VLLM_KEY"
    }
    assert given == {kind: {"name": "vllm", "key": "token"} for kind in ("plan", "prompts", "preview")}
    assert not any(each["name"] == "LLM_API_KEY" for pod in pods(defaults) for each in pod.main["env"])


def test_values_of_a_kind_are_added_to_those_of_all_kinds():
    own = {
        "env": [{"name": "A", "value": "own"}, {"name": "SYNAUG_STORE", "value": "s3://other"}],
        "nodeSelector": {"b": "2"},
        "resources": {"limits": {"memory": "1Gi"}},
        "deadlineHours": 0.5,
    }
    default = {"env": [{"name": "A", "value": "all"}, {"name": "B", "value": "all"}], "nodeSelector": {"a": "1"}}
    index = by_kind(documents := rendered(STORE | {"pods": {"default": default, "index": own}}))["index"]
    env = [(each["name"], each["value"]) for each in index.main["env"]]
    assert len(env) == len(dict(env)), "each name once"
    assert {"A": "own", "B": "all", "SYNAUG_STORE": "s3://other", "HOME": "/tmp"}.items() <= dict(env).items()
    assert index.spec["nodeSelector"] == {"a": "1", "b": "2"}
    assert index.main["resources"] == {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "1Gi"}}
    run = one(documents, "WorkflowTemplate", "synaug-run")
    assert next(each for each in run["spec"]["templates"] if each["name"] == "index")["activeDeadlineSeconds"] == 1800


def test_metrics_are_served_on_the_port_that_the_monitor_asks():
    documents = rendered(
        STORE | {"metrics": {"port": 9999, "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    )
    serving = {
        pod.kind for pod in pods(documents) if {"name": "metrics", "containerPort": 9999} in pod.main.get("ports", ())
    }
    assert serving == {"prompts", "images", "worker"}
    monitor = one(documents, "PodMonitor", "synaug")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
    (selector,) = monitor["spec"]["selector"]["matchExpressions"]
    stages = {pod.kind: pod.metadata["labels"][selector["key"]] for pod in pods(documents) if pod.kind in serving}
    assert set(stages.values()) == set(selector["values"])


def test_the_job_has_the_workers_processes_and_shared_memory_of_the_values():
    job = training_job(rendered(STORE | {"training": {"workers": 3, "processesPerWorker": 8, "sharedMemory": "64Gi"}}))
    spec = job["spec"]
    assert (spec["elasticPolicy"]["minReplicas"], spec["elasticPolicy"]["maxReplicas"], spec["nprocPerNode"]) == (
        3,
        3,
        "8",
    )
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    assert worker["replicas"] == 3
    memory = [
        v["emptyDir"]["sizeLimit"]
        for v in worker["template"]["spec"]["volumes"]
        if v.get("emptyDir", {}).get("medium") == "Memory"
    ]
    assert memory == ["64Gi"]
    assert worker["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"


def test_a_workers_deadline_counts_hours_of_running_not_of_waiting_for_gpus():
    spec = training_job(rendered(STORE | {"pods": {"worker": {"deadlineHours": 2}}}))["spec"]
    assert spec["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["activeDeadlineSeconds"] == 7200
    assert "activeDeadlineSeconds" not in spec["runPolicy"]  # the operator counts it from the job's start


def test_the_launcher_outlives_the_waiting_of_its_workers(defaults):
    templates = {each["name"]: each for each in one(defaults, "WorkflowTemplate", "synaug-run")["spec"]["templates"]}
    worker = training_job(defaults)["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    assert templates["train"]["activeDeadlineSeconds"] > worker["activeDeadlineSeconds"]


def test_the_weights_of_the_hub_have_room_on_disk(defaults):
    asked = {
        kind: pod.main["resources"]["requests"].get("ephemeral-storage") for kind, pod in by_kind(defaults).items()
    }
    assert {kind: size for kind, size in asked.items() if size} == {
        "prompts": "24Gi",
        "images": "24Gi",
        "preview": "40Gi",
    }


def test_the_mounted_job_is_immutable_stays_on_upgrade_and_is_named_by_its_content():
    def config(values: dict) -> tuple[dict, dict]:
        documents = rendered(values)
        made = next(each for each in documents if each["kind"] == "ConfigMap" and "training-job.yaml" in each["data"])
        return made, next(pod for pod in pods(documents) if pod.kind == "train").spec

    first, launcher = config(STORE)
    assert first["immutable"] is True and first["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert {"name": "training-job", "configMap": {"name": first["metadata"]["name"]}} in launcher["volumes"]
    same, _ = config(STORE | {"limits": {"gpus": 3}})
    other, _ = config(STORE | {"training": {"workers": 5}})
    assert same["metadata"]["name"] == first["metadata"]["name"] != other["metadata"]["name"]
