from dataclasses import replace

import pytest

from synaug.errors import DataError, UsageError
from synaug.evaluation.diagnostics.classifier import find_classifier
from tests.unit.evaluation.diagnostics import made


@pytest.fixture
def job(empty):
    return made.job(empty)


def test_the_first_trained_seed_of_the_runs_real_arm_is_taken(job):
    made.put_classifier(job, seed=1)
    one = find_classifier(replace(job, config=job.config.model_copy(update={"seeds": [0, 1]})), None)
    assert one.name == "r/real/1" and one.settings.model == "test_resnet"


def test_no_trained_real_arm_names_the_command(job):
    with pytest.raises(
        DataError, match=r"no real arm is trained: run `synaug train --store .* --run r --arm real --seed 0`"
    ):
        find_classifier(job, None)


def test_a_named_seed_is_taken(job):
    made.put_classifier(job)
    made.put_classifier(job, seed=3)
    assert find_classifier(job, "r/real/3").name == "r/real/3"
    assert find_classifier(job, "r/real").name == "r/real/0"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("real", UsageError, "--classifier 'real' is no classifier; give RUN/ARM or RUN/ARM/SEED, like r/real/0"),
        ("r/real/x", UsageError, "'r/real/x' is no classifier"),
        ("r/reel", UsageError, "run 'r' has the arms real, naive, auxbn, oracle"),
        (
            "r/naive",
            UsageError,
            "naive is trained on synthetic images, too; give an arm of kind real, real-half, oracle",
        ),
        ("other/real", DataError, "run 'other' is not planned"),
        ("r/oracle", DataError, "no real arm is trained: run `synaug train .* --arm oracle --seed 0`"),
    ],
)
def test_other_names_are_refused(job, name, error, message):
    with pytest.raises(error, match=message):
        find_classifier(job, name)


def test_a_run_of_other_classes_is_refused(job):
    other = job.plan.model_copy(update={"classes": job.plan.classes[:2]})
    job.store.put("runs/other/run.yaml", job.store.get("runs/r/run.yaml"))
    job.store.put("runs/other/plan.json", other.model_dump_json().encode())
    with pytest.raises(DataError, match="run 'other' has other classes than 'r'"):
        find_classifier(job, "other/real")
