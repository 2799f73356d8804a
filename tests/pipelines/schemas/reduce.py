"""Writes the schemas beside this file from the projects' own.

python -m tests.pipelines.schemas.reduce ARGO_MODULE OPERATOR_MODULE
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

HERE = Path(__file__).parent
KINDS = [f"io.argoproj.workflow.v1alpha1.{kind}" for kind in ("Workflow", "WorkflowTemplate")]


def references(schema) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def bare(schema):
    """Without descriptions; a property may be called `description` too, and is no text."""
    if isinstance(schema, dict):
        return {
            key: bare(value) for key, value in schema.items() if not (key == "description" and isinstance(value, str))
        }
    return [bare(value) for value in schema] if isinstance(schema, list) else schema


def argo(module: Path) -> dict:
    full = json.loads((module / "api/jsonschema/schema.json").read_text())
    kept, left = set(), list(KINDS)
    while left:
        name = left.pop()
        if name not in kept:
            kept.add(name)
            left += references(full["definitions"][name])
    return {"$schema": full["$schema"], "definitions": bare({name: full["definitions"][name] for name in kept})}


def pytorch_job(module: Path) -> dict:
    crd = yaml.safe_load((module / "manifests/base/crds/kubeflow.org_pytorchjobs.yaml").read_text())
    return bare(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def write(name: str, schema: dict) -> None:
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    (HERE / name).write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    write("argo-3.7.18.json.gz", argo(Path(sys.argv[1])))
    write("pytorchjob-1.9.3.json.gz", pytorch_job(Path(sys.argv[2])))
