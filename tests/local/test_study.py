"""A study for real, tiny: two runs, their comparison, its pages; stopped half way and continued; nothing left to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.local import photos
from tests.local.test_whole_job import RUN_YAML, synaug

ROOT = Path(__file__).parents[2]
PHOTOS = 24  # of a class: what `diagnose` wants at least
ARMS = {
    "real": {"kind": "real"},
    "naive-1x": {"kind": "naive", "scale": "1x"},
    "auxbn-1x": {"kind": "auxbn", "scale": "1x"},
}
STUDY = {
    "title": "Two generation seeds",
    "base": "base.yaml",
    "diagnose": ["one"],
    "runs": {"one": {"arms": ARMS}, "two": {"seed": 1, "arms": {"naive-1x": {"kind": "naive", "scale": "1x"}}}},
    "comparisons": {
        "scale": {
            "title": "Accuracy",
            "real": ["one/real"],
            "arms": ["one/naive-1x", "two/naive-1x", "one/auxbn-1x"],
            "figure": "scale",
            "differences": {"AuxBN over naive": ["one/auxbn-1x", "one/naive-1x"]},
        },
    },
}


@pytest.fixture
def folder(tmp_path) -> Path:
    photos.put(tmp_path, PHOTOS)
    base = RUN_YAML | {"arms": {}, "prompts": {"senses": False, "values": 2, "mix": {"plain": 1, "cd": 0, "sd": 0}}}
    base["images"] = base["images"] | {"part_images": 24}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_goes_on_where_it_was_stopped_and_draws_what_it_found(folder):
    store, out = str(folder / "store"), folder / "out"
    for split in ("train", "val"):
        synaug(
            "import", str(folder / split), "--store", store, "--split", split, "--classes", str(folder / "classes.yaml")
        )
    command = ["study", str(folder / "study.yaml"), "--store", store, "--out", str(out)]
    assert "two" in synaug(*command, "--plan") and not out.exists()
    synaug(*command, "--only", "one")
    drawing = [sys.executable, "-m", "synaug", *command, "--draw"]
    early = subprocess.run(drawing, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert (
        early.returncode == 3
        and "run two of the study is not finished" in early.stderr
        and "--only two" in early.stderr
    )
    assert not out.exists()

    synaug(*command)
    first = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {str(path) for path in first} >= {"results.md", "study/report.html", "study/outcome.json"}
    outcome = json.loads(first[Path("study/outcome.json")])
    (table,) = outcome["tables"]
    assert [row["arm"] for row in table["rows"]] == ["one/real", "one/naive-1x", "two/naive-1x", "one/auxbn-1x"]
    assert all(row["parameters"] == table["rows"][0]["parameters"] > 1000 for row in table["rows"])
    assert set(outcome["diagnostics"]["one"]) == {"fidelity", "coverage", "branches"}
    assert table["rows"][2]["changed"]["seed"] == "1"

    again = synaug(*command)
    assert "everything is there" in again
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
