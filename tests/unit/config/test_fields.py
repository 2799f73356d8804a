"""Every field is classified, documented, and in the reference."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from synaug.cli.config import markdown
from synaug.config import Config
from synaug.config.fields import fields, identity_values, kind_of
from synaug.config.load import load_config
from synaug.config.run import TestSet
from synaug.config.training import Arm

ROOT = Path(__file__).parents[3]
IDENTITY_OUTSIDE_IMAGES_AND_PROMPTS = {
    "seed",
    "classes",
    "context",
    "real.train",
    "real.per_class",
    "real.largest_to_smallest",
    "counts",
    "max_scale",
    "shard_hours",
    "class_shards",
    "threads",
}


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: field.path)
def test_every_field_has_a_kind_and_a_description(field):
    assert field.kind in ("identity", "growable", "execution")
    assert len(field.description) > 8


def test_kinds_are_those_of_the_design():
    kinds = {field.path: field.kind for field in fields()}
    elsewhere = {p for p, k in kinds.items() if k == "identity" and p.split(".")[0] not in ("images", "prompts")}
    assert elsewhere == IDENTITY_OUTSIDE_IMAGES_AND_PROMPTS
    assert {p.split(".")[0] for p, k in kinds.items() if k == "growable"} == {
        "scale",
        "index",
        "training",
        "loader",
        "arms",
        "seeds",
        "tests",
        "oracle",
    }
    assert (
        kinds["images.batch_size"]
        == kinds["images.part_images"]
        == kinds["images.revision"]
        == kinds["prompts.llm.model"]
        == "identity"
    )
    assert kinds["compute.device"] == kinds["compute.price"] == "execution"


def test_kind_of_a_path_within_a_mapping():
    assert kind_of("arms.auxbn-2x.kind") == "growable"
    assert kind_of("training.model_kwargs.channels") == "growable"
    assert kind_of("compute.device") == "execution"
    assert kind_of("nothing.here") is None


def test_identity_values_change_with_identity_only():
    values = identity_values(load_config("demo"))
    assert identity_values(load_config("demo", ["seeds=[9]", "scale=6x", "compute.workers=7"])) == values
    changed = identity_values(load_config("demo", ["images.batch_size=7"]))
    assert {key for key in values if values[key] != changed[key]} == {"images.batch_size"}


def test_the_reference_is_fresh():
    assert (ROOT / "docs/configuration.md").read_text() == markdown(), "run `make docs`"


def documented_defaults() -> dict[str, str]:
    """The Default column of docs/configuration.md by field, as it is written there."""
    lines = (ROOT / "docs/configuration.md").read_text().splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| `")]
    return {cells[0].strip().strip("`"): cells[4].strip().strip("`").replace("\\|", "|") for cells in rows}


def leaves(value: object, path: str) -> dict[str, object]:
    """The plain values of a model, by dotted path."""
    if not isinstance(value, BaseModel):
        return {path: value}
    parts = [leaves(getattr(value, name), f"{path}.{name}".lstrip(".")) for name in type(value).model_fields]
    return {leaf: plain for part in parts for leaf, plain in part.items()}


def test_the_references_defaults_are_the_values_of_a_new_configuration():
    """Held against constructed models, not against what the reference is written from."""
    expected = leaves(Config(), "") | leaves(Arm(kind="real"), "arms.NAME") | leaves(TestSet(split="val"), "tests.NAME")
    del expected["arms"], expected["tests"]
    documented = documented_defaults()
    assert documented.keys() == expected.keys()
    required = {path for path, text in documented.items() if text == "required"}
    assert required == {"arms.NAME.kind", "tests.NAME.split"}
    defaults = {path: json.loads(text) for path, text in documented.items() if path not in required}
    assert {path: (default, expected[path]) for path, default in defaults.items() if default != expected[path]} == {}
