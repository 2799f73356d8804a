import io
import json
import statistics

import pytest
from rich.console import Console

from synaug.data import layout
from synaug.data.store import open_store
from synaug.reporting.tables import summary
from synaug.run.completion import Completion
from tests import small_run


@pytest.fixture
def job(tmp_path):
    return small_run.job(open_store(str(tmp_path / "store"), create=True), small_run.config())


def printed(job) -> str:
    file = io.StringIO()
    Console(file=file, width=160).print(summary(Completion(job.store, job.run, job.config, job.plan).results()))
    return file.getvalue()


def test_table_has_every_arm_and_test_with_mean_spread_and_difference(job):
    small_run.write_results(job)
    lines = printed(job).splitlines()
    top1 = [
        json.loads(job.store.get(layout.evaluation(job.run, "naive-2x", seed)))["tests"]["contexts"]["top1"]
        for seed in (0, 1, 2)
    ]
    rows = [line for line in lines if "naive-2x" in line]
    assert len(rows) == 2
    assert f"{100 * statistics.mean(top1):.1f} ± {100 * statistics.stdev(top1):.1f}" in rows[0]
    assert all(f"{arm} " in "".join(lines) for arm in job.config.arms)
    assert rows[1].count("[") == 3 and rows[1].count("*") == 3
    assert next(line for line in lines[::-1] if "auxbn-1x" in line).count("*") == 1  # shown on contexts only


def test_piped_it_is_plain_text(job):
    small_run.write_results(job)
    assert "\x1b" not in printed(job)


def test_one_seed_gives_differences_without_intervals(job):
    small_run.write_results(job, seeds=[0])
    row = [line for line in printed(job).splitlines() if "naive-2x" in line][1]
    assert "[" not in row and "+" in row


def test_a_run_without_results_gives_nothing(job):
    assert printed(job).strip() == ""
