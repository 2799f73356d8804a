"""Validation that also refuses what a schema does not name, as an API server with full CRDs does."""

import functools
import gzip
import json
from pathlib import Path

from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).parent / "schemas"
INT_OR_STRING = {"type": ["integer", "string"]}


def strict(schema):
    """The schema with unknown fields forbidden wherever fields are named, and Kubernetes' IntOrString as what it is."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if (
        isinstance(made.get("properties"), dict)
        and "additionalProperties" not in made
        and made.get("type", "object") == "object"
    ):
        made["additionalProperties"] = False
    return INT_OR_STRING if made.get("x-kubernetes-int-or-string") else made


@functools.cache
def argo(kind: str) -> Draft7Validator:
    """Argo 3.7.18's own schema of a Workflow or WorkflowTemplate."""
    schema = strict(_read("argo-3.7.18.json.gz"))
    schema["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = INT_OR_STRING  # there it says string
    return Draft7Validator(schema | {"$ref": f"#/definitions/io.argoproj.workflow.v1alpha1.{kind}"})


@functools.cache
def hera(kind: str) -> Draft7Validator:
    """Hera's models, which follow Argo 4."""
    from hera.workflows import models

    return Draft7Validator(strict(getattr(models, kind).model_json_schema(by_alias=True)))


@functools.cache
def pytorch_job() -> Draft7Validator:
    """The CRD of training-operator 1.9.3. `metadata` is the API server's own, and open there."""
    schema = strict(_read("pytorchjob-1.9.3.json.gz"))
    return Draft7Validator(schema)


def mistakes(validator: Draft7Validator, made: dict) -> list[str]:
    """One line each: where, and what."""
    return sorted(
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(made)
    )


def _read(name: str) -> dict:
    return json.loads(gzip.decompress((SCHEMAS / name).read_bytes()))
