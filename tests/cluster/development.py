"""The development cluster as the tests see it: its kubeconfig, its store, the command line; faults for it alone."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from kubernetes import client, config

from pipelines.status.argo_nodes import nodes_of

ROOT = Path(__file__).parents[2]
STATE = ROOT / "work" / "cluster"
NAMESPACE = "synaug"
MARKER = "synaug-development-cluster"


def environment() -> dict[str, str]:
    """Without a kubeconfig of the person's: the commands then take the development cluster's."""
    return {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "KUBECONTEXT")} | {
        "PYTHONPATH": str(ROOT)
    }


def command(
    *arguments: str, check: bool = True, timeout: float = 1800, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """A command of this checkout, like `-m pipelines watch`; its output is shown when it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment() | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done


def until(condition: Callable[[], Any], what: str, *, seconds: float = 400, every: float = 0.5) -> Any:
    """The first true value of the condition; an AssertionError that names it after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class Cluster:
    """The API of the development cluster, and nothing of any other."""

    def __init__(self) -> None:
        self.kubeconfig = STATE / "kubeconfig"
        connection = config.new_client_from_config(config_file=str(self.kubeconfig))
        self.core, self.apps = client.CoreV1Api(connection), client.AppsV1Api(connection)
        self.custom, self.authorization = client.CustomObjectsApi(connection), client.AuthorizationV1Api(connection)
        self.connection = connection

    def check_marker(self) -> None:
        """Raises AssertionError unless this is the cluster that `make cluster` made: faults go nowhere else."""
        try:
            found = self.core.read_namespaced_config_map(MARKER, "kube-system").data["nonce"]
        except client.ApiException as error:
            raise AssertionError(f"this cluster has no {MARKER} in kube-system: no faults here") from error
        assert found == (STATE / "nonce").read_text().strip(), (
            f"the nonce of {MARKER} is another cluster's: no faults here"
        )

    def workflow(self, name: str) -> dict | None:
        try:
            return self.custom.get_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, "workflows", name)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise

    def workflows(self, run: str, purpose: str = "") -> list[dict]:
        """The run's workflow, or its one-pod workflow for a purpose such as plan."""
        listed = self.custom.list_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, "workflows")["items"]
        wanted = re.compile(rf"{run}-[0-9a-f]{{4}}" + (f"-{purpose}" if purpose else ""))
        return [item for item in listed if wanted.fullmatch(item["metadata"]["name"])]

    def workflow_of(self, run: str, purpose: str = "") -> str:
        """Its name."""
        found = [item["metadata"]["name"] for item in self.workflows(run, purpose)]
        assert len(found) == 1, f"workflows of {run}: {found}"
        return found[0]

    def nodes(self, name: str, template: str | None = None, kind: str = "Pod") -> list[dict]:
        """Nodes of a workflow, by template and kind, in the order of their start."""
        found = [
            n
            for n in nodes_of(self.workflow(name) or {}).values()
            if n["type"] == kind and template in (None, n.get("templateName"))
        ]
        return sorted(found, key=lambda node: node.get("startedAt") or "")

    def pods(self, stage: str | None = None, **labels: str) -> list[client.V1Pod]:
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        if stage:
            selector = ",".join(filter(None, [selector, f"synaug/stage={stage}"]))
        return self.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items

    def training_jobs(self) -> list[dict]:
        return self.custom.list_namespaced_custom_object("kubeflow.org", "v1", NAMESPACE, "pytorchjobs")["items"]

    def delete_pod(self, name: str, *, namespace: str = NAMESPACE, grace: int = 0) -> None:
        self.check_marker()
        self.core.delete_namespaced_pod(name, namespace, grace_period_seconds=grace)

    def delete_workflow(self, name: str) -> None:
        """As `kubectl delete` does: no exit handler runs."""
        self.check_marker()
        self.custom.delete_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, "workflows", name)

    def patch_workflow(self, name: str, patch: dict) -> None:
        self.check_marker()
        self.custom.patch_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, "workflows", name, patch)

    def scale(self, deployment: str, namespace: str, replicas: int) -> None:
        self.check_marker()
        self.apps.patch_namespaced_deployment_scale(deployment, namespace, {"spec": {"replicas": replicas}})


class Objects:
    """The cluster's store, read from outside."""

    def __init__(self, url: str, endpoint: str, keys: dict[str, str]) -> None:
        self.bucket, _, self.prefix = url.removeprefix("s3://").partition("/")
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=BotoConfig(s3={"addressing_style": "path"}),
        )

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def list(self, prefix: str) -> dict[str, Any]:
        """{key below the store's root: time of its last change}"""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._key(prefix))
        return {
            item["Key"].removeprefix(self._key("")): item["LastModified"]
            for page in pages
            for item in page.get("Contents", ())
        }

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()

    def json(self, key: str) -> Any:
        return json.loads(self.get(key))

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._key(key))
