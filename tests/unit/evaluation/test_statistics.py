import numpy as np
import pytest
from scipy import stats

from synaug.evaluation.statistics import better_real, bootstrap, class_gain, gain, mean_with_interval, paired
from synaug.run.results import Evaluation, Results, TestResult


def evaluation(arm, kind, seed, top1, *, model="resnet10t", **per_class):
    result = TestResult(
        split="test",
        data="0",
        domain="in",
        n=100,
        top1=top1,
        top5=1.0,
        per_class=per_class or {"a": top1},
        per_class_n={"a": 100},
    )
    return Evaluation(
        arm=arm,
        seed=seed,
        kind=kind,
        scale=1 if kind == "naive" else None,
        model=model,
        trained="0",
        tests={"test": result},
    )


def results(**arms):
    """name=(kind, accuracies by seed)"""
    return Results(
        [evaluation(name, kind, seed, top1) for name, (kind, tops) in arms.items() for seed, top1 in enumerate(tops)]
    )


def test_mean_spread_and_interval_are_those_of_a_paired_t_test():
    a, b = [0.812, 0.805, 0.821, 0.809], [0.801, 0.803, 0.806, 0.795]
    one = paired(dict(enumerate(a)), dict(enumerate(b)))
    reference = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert one.mean == pytest.approx(np.mean(np.subtract(a, b)))
    assert one.std == pytest.approx(np.std(np.subtract(a, b), ddof=1))
    assert (one.low, one.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize("n", [3, 10])
def test_interval_of_differences_holds_the_truth_in_95_of_100_experiments(n):
    rng = np.random.default_rng(n)
    truth, experiments, held = 0.02, 2000, 0
    for _ in range(experiments):
        seed_effect = rng.normal(0.8, 0.05, n)  # shared by both arms, as the same training seed is
        arm, real = seed_effect + truth + rng.normal(0, 0.01, n), seed_effect + rng.normal(0, 0.01, n)
        one = paired(dict(enumerate(arm)), dict(enumerate(real)))
        held += one.low <= truth <= one.high
    assert held / experiments == pytest.approx(0.95, abs=0.015)


def test_pairing_uses_the_seeds_that_both_arms_have():
    assert paired({0: 0.8, 1: 0.9, 7: 0.1}, {1: 0.8, 0: 0.7, 5: 1.0}).mean == pytest.approx(0.1)
    assert paired({0: 0.8}, {1: 0.8}) is None


def test_one_seed_or_no_spread_gives_no_interval_and_shows_nothing():
    assert (mean_with_interval([0.5]).std, mean_with_interval([0.5]).low, mean_with_interval([0.5]).shown) == (
        None,
        None,
        False,
    )
    assert (mean_with_interval([0.5, 0.5]).low, mean_with_interval([0.5, 0.5]).shown) == (None, False)
    with pytest.raises(ValueError, match="no values"):
        mean_with_interval([])


def test_gain_is_shown_only_where_the_interval_excludes_0():
    clear = results(real=("real", [0.80, 0.81, 0.80]), mix=("naive", [0.85, 0.86, 0.86]))
    unclear = results(real=("real", [0.80, 0.81, 0.80]), mix=("naive", [0.79, 0.86, 0.80]))
    worse = results(real=("real", [0.85, 0.86, 0.86]), mix=("naive", [0.80, 0.81, 0.80]))
    assert gain(clear, "mix", "test").shown
    assert not gain(unclear, "mix", "test").shown
    assert gain(worse, "mix", "test").shown and gain(worse, "mix", "test").mean < 0


def test_gain_is_against_the_better_of_real_and_real_half():
    found = results(real=("real", [0.70, 0.71]), half=("real-half", [0.80, 0.82]), mix=("naive", [0.83, 0.84]))
    assert better_real(found, "mix", "test") == "half"
    assert gain(found, "mix", "test").mean == pytest.approx(0.025)
    assert gain(found, "real", "test") is None


def test_gain_is_against_a_real_arm_of_the_same_model():
    arms = [
        evaluation("big", "real", 0, 0.9, model="resnet50"),
        evaluation("real", "real", 0, 0.7),
        evaluation("mix", "naive", 0, 0.8),
    ]
    found = Results(arms)
    assert better_real(found, "mix", "test") == "real"


def test_class_gain_is_of_that_class():
    real = [evaluation("real", "real", seed, 0.7, a=0.6, b=0.8) for seed in (0, 1)]
    mix = [evaluation("mix", "naive", seed, 0.8, a=0.9 + 0.01 * seed, b=0.7) for seed in (0, 1)]
    found = Results(real + mix)
    assert class_gain(found, "mix", "test", "a").mean == pytest.approx(0.305)
    assert class_gain(found, "mix", "test", "b").mean == pytest.approx(-0.1)


@pytest.mark.parametrize(("n", "coverage"), [(5, 0.925), (10, 0.95)])
def test_bootstrap_interval_holds_the_truth_about_as_often_as_it_says(n, coverage):
    rng = np.random.default_rng(100 + n)
    experiments = [bootstrap(rng.normal(0.02, 0.01, n)) for _ in range(1000)]
    assert np.mean([low <= 0.02 <= high for low, high in experiments]) == pytest.approx(coverage, abs=0.025)


def test_bootstrap_interval_is_the_same_each_time_and_shifts_and_scales_with_the_values():
    values = np.array([0.01, 0.02, 0.00, 0.03, 0.015])
    low, high = bootstrap(values)
    assert bootstrap(values) == (low, high) and values.min() <= low < values.mean() < high <= values.max()
    assert bootstrap(10 * values + 1) == pytest.approx((10 * low + 1, 10 * high + 1))


def test_bootstrap_has_no_interval_for_one_value_or_no_spread():
    assert bootstrap([0.5]) is None and bootstrap([0.5, 0.5, 0.5]) is None
