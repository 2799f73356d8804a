import numpy as np
import pytest

from synaug.training.sample_order import SampleOrder, distinct, widen_window

LENGTHS = [7, 12, 1, 9, 30, 5, 16, 20]
N = sum(LENGTHS)


def order(**changes) -> SampleOrder:
    return SampleOrder(LENGTHS, **{"seed": 0, "source": "real", "window": 3} | changes)


def test_every_pass_has_each_sample_once_in_another_order():
    passes, samples = order().at(0, 3 * N)
    orders = [samples[passes == n].tolist() for n in range(3)]
    assert all(sorted(samples) == list(range(N)) for samples in orders)
    assert orders[0] != orders[1] != orders[2]


def test_a_position_does_not_depend_on_what_was_read_before():
    whole = order().at(0, 4 * N)
    for start in (0, 5, N - 1, N, 2 * N + 17):
        for column, expected in zip(order().at(start, start + 50), whole, strict=True):
            assert column.tolist() == expected[start : start + 50].tolist()


@pytest.mark.parametrize("change", [{"seed": 1}, {"source": "synthetic"}, {"window": 4}])
def test_seed_source_and_window_each_change_the_order(change):
    assert order().at(0, N)[1].tolist() != order(**change).at(0, N)[1].tolist()


@pytest.mark.parametrize("window", [1, 3, 8, 20])
def test_at_most_a_window_of_tars_is_read_from_at_a_time(window):
    reader = order(window=window)
    tars = reader.tars(reader.at(0, N)[1])
    first = {t: int(np.flatnonzero(tars == t)[0]) for t in range(len(LENGTHS))}
    last = {t: int(np.flatnonzero(tars == t)[-1]) for t in range(len(LENGTHS))}
    assert max(sum(first[t] <= at <= last[t] for t in first) for at in range(N)) <= window


def test_samples_of_a_tar_are_shuffled_and_tars_interleaved():
    reader = SampleOrder([50, 50], seed=0, source="real", window=2)
    samples = reader.at(0, 100)[1]
    assert samples.tolist() != sorted(samples)
    assert 15 <= (reader.tars(samples[:50]) == 0).sum() <= 35


def test_samples_belong_to_their_tars():
    assert order().tars(np.arange(N)).tolist() == np.repeat(np.arange(len(LENGTHS)), LENGTHS).tolist()


def test_distinct_is_the_mean_of_uniform_draws():
    labels = np.repeat(np.arange(20), np.arange(1, 21))
    rng = np.random.default_rng(0)
    drawn = np.mean([len(np.unique(rng.choice(labels, 16))) for _ in range(4000)])
    assert distinct(labels, 16) == pytest.approx(drawn, rel=0.01)


def test_the_window_grows_until_class_clustered_tars_mix():
    """Synthetic tars hold the classes of one shard only: two of a thousand, say."""
    lengths, labels = [40] * 200, np.repeat(np.arange(400), 20)
    window = widen_window(lengths, labels, n=64, seed=0, source="synthetic", window=8)
    assert 16 <= window <= 200
    mixed = np.tile(np.arange(400), 20)
    assert widen_window(lengths, mixed, n=64, seed=0, source="synthetic", window=8) == 8
