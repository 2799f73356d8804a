"""A run that an earlier version began is continued: nothing finished is touched, its checkpoint is taken up.

stores/begun-by-0.1.0.tar.xz was written by commit 7cbcf0f (the last before the modules moved) with the photos and
run.yaml of test_whole_job: 1x whole and indexed, `real` seed 0 trained and evaluated, `auxbn-1x` seed 0 killed by
SIGKILL after its fourth of six steps; then planned for 2x, of which shard 0 is made and shard 1 is not. The photos are
Fashion-MNIST's (MIT), as in synaug/embedded/data/fashion-mnist.
"""

import json
import tarfile
from pathlib import Path

import pytest

from synaug.data import layout
from synaug.data.store import open_store
from tests.local.test_whole_job import synaug

STORE = Path(__file__).parent / "stores" / "begun-by-0.1.0.tar.xz"
RUN = "first"
FINISHED = ("real/", f"runs/{RUN}/synthetic/", f"runs/{RUN}/prompts/", f"runs/{RUN}/train/real/0/")


@pytest.mark.timeout(600)
def test_a_run_that_an_earlier_version_began_is_finished_and_nothing_finished_is_touched(tmp_path):
    with tarfile.open(STORE) as archive:
        archive.extractall(tmp_path, filter="data")
    store = open_store(tmp_path / "store")
    before = {key: store.get(key) for key in store.list("")}
    lines = layout.training(RUN, "auxbn-1x", 0, "metrics.jsonl")

    status = json.loads(synaug("status", "--store", store.url, "--run", RUN, "--json"))
    left = {name: stage["total"] - stage["done"] for name, stage in status["stages"].items()}
    assert left["prompts"] == 0 and left["images"] == 8

    synaug("run", "--store", store.url, "--run", RUN)

    finished = {key: data for key, data in before.items() if key.startswith(FINISHED)}
    assert len(finished) > 20
    assert [key for key, data in finished.items() if store.get(key) != data] == []
    assert store.get(layout.evaluation(RUN, "real", 0)) == before[layout.evaluation(RUN, "real", 0)]
    assert store.get(lines).startswith(before[lines])
    assert json.loads(store.get(layout.index(RUN)))["scale"] == 2
    assert json.loads(synaug("status", "--store", store.url, "--run", RUN, "--json"))["finished"]
