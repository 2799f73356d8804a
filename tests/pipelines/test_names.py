"""Names of cluster objects fit what Kubernetes, Argo and the training operator allow."""

import re

import pytest

from pipelines import names
from synaug.errors import UsageError
from tests import planned

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035


def test_a_workflow_is_named_by_run_and_identity_and_not_by_scale():
    first, grown = (names.workflow("first", planned.configuration(f"scale={scale}")) for scale in ("1x", "2x"))
    other = names.workflow("first", planned.configuration("images.guidance_scale=1.5"))
    assert first == grown != other
    assert re.fullmatch(r"first-[0-9a-f]{4}", first)


@pytest.mark.parametrize("run", ["a", "imagenet-6x", "a" * 30])
def test_runs_that_are_labels_pass(run):
    assert names.check_run(run) == run


@pytest.mark.parametrize("run", ["", "A", "a_b", "-a", "a-", "6x", "a.b", "a" * 31])
def test_other_runs_are_refused_with_what_is_allowed(run):
    with pytest.raises(UsageError, match=r"a DNS label of at most 30.*begun with a letter.*like imagenet-6x"):
        names.check_run(run)


@pytest.mark.parametrize("arm", ["", "auxbn_1x", "-a", "ünï", "a" * 41])
def test_arms_that_argo_would_not_show_are_refused(arm):
    with pytest.raises(UsageError, match="at most 40 letters, digits, dots and dashes"):
        names.check_arm(arm)


@pytest.mark.parametrize("arm", ["auxbn-6x", "AuxBN.6x", "a" * 40])
@pytest.mark.parametrize("workflow", ["a-4f2a", "a" * 30 + "-4f2a"])
def test_a_training_jobs_workers_have_names_of_their_own(workflow, arm):
    job = names.training_job(workflow, arm, 2**31)
    assert LABEL.fullmatch(job) and len(f"{job}-worker-99") <= 63
    assert job.startswith(workflow)


def test_jobs_of_arms_that_differ_in_what_a_label_cannot_show_have_different_names():
    arms = ["auxbn-6x", "AuxBN-6x", "auxbn.6x", "auxbn-6x-" + "a" * 30, "auxbn-6x-" + "a" * 31]
    assert len({names.training_job("a" * 30 + "-4f2a", arm, 0) for arm in arms}) == len(arms)


def test_other_workflows_of_a_run_end_in_their_purpose():
    assert names.helper_workflow("first-4f2a", "plan") == "first-4f2a-plan"
    assert names.import_workflow("val") == "synaug-import-val"
    assert LABEL.fullmatch(names.import_workflow("Test_A" * 10))
