import pytest

from synaug.evaluation import frequency_groups
from synaug.evaluation.frequency_groups import CountRange
from synaug.run.results import Evaluation, Results, TestResult


def test_the_limits_of_the_field_hold_where_no_group_is_empty():
    counts = {"a": 101, "b": 100, "c": 20, "d": 19}
    assert frequency_groups.groups(counts) == {"many": ["a"], "medium": ["b", "c"], "few": ["d"]}
    assert not frequency_groups.relative(counts)


def test_a_small_set_is_cut_into_thirds_by_real_count():
    counts = {"g": 1, "a": 50, "b": 32, "c": 20, "d": 13, "e": 5, "f": 3}
    assert frequency_groups.groups(counts) == {"many": ["a", "b"], "medium": ["c", "d", "e"], "few": ["g", "f"]}
    assert frequency_groups.relative(counts) and frequency_groups.count_ranges(counts) == {
        "many": CountRange(32, 50),
        "medium": CountRange(5, 20),
        "few": CountRange(1, 3),
    }


def test_classes_of_equal_counts_stay_together_and_equal_sets_have_no_groups():
    assert frequency_groups.groups({"a": 9, "b": 2, "c": 2, "d": 2, "e": 2}) == {
        "many": ["a"],
        "medium": ["b", "c", "d", "e"],
    }
    assert frequency_groups.groups({"a": 5, "b": 5}) == {}


def test_accuracy_is_the_mean_over_classes_that_the_test_set_holds():
    def evaluation(seed, a, b):
        result = TestResult(
            split="t",
            data="0",
            domain="in",
            n=110,
            top1=0.5,
            top5=1,
            per_class={"a": a, "b": b},
            per_class_n={"a": 100, "b": 10},
        )
        return Evaluation(arm="x", seed=seed, kind="real", scale=None, model="m", trained="0", tests={"t": result})

    results = Results([evaluation(0, 0.8, 0.4), evaluation(1, 0.6, 0.2)])
    assert frequency_groups.accuracies(results, "x", "t", ["a", "b", "absent"]) == {
        0: pytest.approx(0.6),
        1: pytest.approx(0.4),
    }
    assert frequency_groups.accuracies(results, "x", "t", ["absent"]) == {}
