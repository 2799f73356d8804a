"""Every field is classified, documented, and in the reference."""

from pathlib import Path

import pytest

from synaug.cli.config import markdown
from synaug.config.fields import fields, identity_values, kind_of
from synaug.config.load import load_config

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
