from collections import Counter
from dataclasses import replace

import pytest

from synaug.config import Config
from synaug.config.run import IndexSettings, Real
from synaug.data import pools
from synaug.data.classes import ClassEntry
from synaug.data.index import load_index
from synaug.data.manifest import TarTable
from synaug.data.seeding import parse_key
from synaug.data.split_writer import Sample, pack
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.stages import index
from tests.made_run import COUNTS, KINDS, made_job, make_images
from tests.pictures import jpeg

# In another order than the split has them.
CLASSES = [ClassEntry(id=class_id, names=["x"]) for class_id in ("owl", "crane", "cat")]


def keys(tables):
    return {(row.label, row.key) for table in tables for row in table.rows()}


def real(store, classes=CLASSES, **settings):
    return pools.real_pool(store, Config(classes=[], real=Real(**settings)), classes)


def test_images_of_classes_that_the_run_has_not_are_left_out(real_store):
    assert Counter(label for label, _ in keys(real(real_store))) == {1: 60, 0: 30, 2: 12}


def test_a_draw_is_what_it_was_when_checkpoints_froze_its_digest():
    tables = [
        TarTable(
            tar=f"t{t}",
            sha256="0" * 64,
            bytes=1,
            key=[f"k{t}{n}" for n in range(6)],
            label=[n % 3 - (t == 1 and n == 0) for n in range(6)],
            offset=[512 * n for n in range(6)],
            length=[1] * 6,
        )
        for t in range(3)
    ]
    chosen = pools.sample_per_class(tables, lambda rank, label: rank < 2, purpose="real", seed=4)
    assert [table.key for table in chosen] == [["k00", "k02"], ["k10", "k13", "k14", "k15"], ["k24"]]


def test_real_counts_are_in_label_order_and_a_class_without_images_is_named(real_store):
    config = Config(classes=[])
    assert list(pools.real_counts(real_store, config, CLASSES).items()) == [("owl", 30), ("crane", 60), ("cat", 12)]
    with pytest.raises(
        DataError, match=r"no real image of dodo in the split 'train'; import some, or take the class out"
    ):
        pools.real_counts(real_store, config, [*CLASSES, ClassEntry(id="dodo", names=["dodo"])])


def test_per_class_is_a_nested_subset_that_does_not_depend_on_the_tars(real_store, tmp_path):
    ten, twenty = keys(real(real_store, per_class=10)), keys(real(real_store, per_class=20))
    assert Counter(label for label, _ in ten) == {0: 10, 1: 10, 2: 10}
    assert Counter(label for label, _ in twenty) == {0: 20, 1: 20, 2: 12}
    assert ten < twenty < keys(real(real_store))
    other = open_store(tmp_path / "other", create=True)
    labels = [0] * 60 + [1] * 30 + [2] * 12
    samples = [Sample(f"s{n:03d}", label, jpeg(n % 20)) for n, label in enumerate(labels)]
    pack(other, "train", samples, classes=["crane", "owl", "cat"], seed=5)
    assert keys(real(other, per_class=10)) == ten


def test_per_class_depends_on_the_seed_of_the_run(real_store):
    config = Config(classes=[], real=Real(per_class=10), seed=1)
    assert keys(pools.real_pool(real_store, config, CLASSES)) != keys(real(real_store, per_class=10))


def test_a_long_tail_is_exponential_in_label_order_and_nested(real_store):
    assert Counter(label for label, _ in keys(real(real_store, largest_to_smallest=9))) == {0: 30, 1: 20, 2: 7}
    assert keys(real(real_store, largest_to_smallest=30)) < keys(real(real_store, largest_to_smallest=9))
    assert Counter(label for label, _ in keys(real(real_store, per_class=10, largest_to_smallest=100))) == {
        0: 10,
        1: 1,
        2: 1,
    }


def test_the_tail_of_a_hundred_equal_classes_has_the_ratio_asked_for():
    quota = pools.real_quota(Counter(dict.fromkeys(range(100), 500)), 100, None, 100)
    assert (quota[0], quota[99]) == (500, 5)
    assert quota == sorted(quota, reverse=True)


@pytest.fixture
def made(store, tmp_path):
    job = made_job(store)
    make_images(job, tmp_path)
    index.run(job)
    return job


def synthetic(job, **how):
    return pools.synthetic_pool(job.store, job.run, job.config, **how)


def test_a_scale_draws_from_its_multiples(made):
    one, two = keys(synthetic(made, scale=1)), keys(synthetic(made, scale=2))
    assert {parse_key(key) for _, key in one} == {
        (class_id, i) for class_id, count in COUNTS.items() for i in range(count)
    }
    assert one < two
    assert len(two) == 2 * len(one)
    assert {label for label, key in two if key.startswith("n03126707")} == {1}


def test_an_arm_may_select_prompt_kinds(made):
    for kind in KINDS:
        assert {parse_key(key)[1] % 3 for _, key in keys(synthetic(made, scale=2, prompt_kinds=[kind]))} == {
            KINDS.index(kind)
        }
    assert len(keys(synthetic(made, scale=2, prompt_kinds=KINDS))) == 2 * sum(COUNTS.values())


def test_a_cut_pool_is_balanced_and_nested(made):
    twelve, thirty = keys(synthetic(made, scale=2, pool_images=12)), keys(synthetic(made, scale=2, pool_images=30))
    assert Counter(label for label, _ in twelve) == {0: 4, 1: 4, 2: 4}
    assert twelve < thirty
    with pytest.raises(DataError, match=r"a pool of 1000 images is asked for at 2x .*; there are 54"):
        synthetic(made, scale=2, pool_images=1000)


def test_images_below_the_score_are_left_out(made):
    filtered = replace(made, config=made.config.model_copy(update={"index": IndexSettings(min_clip_score=0.2)}))
    line = (
        r"the index of made reaches 2x with min_clip_score None; 1x with min_clip_score 0\.2 .* "
        r"run `python -m synaug index"
    )
    with pytest.raises(DataError, match=line):
        synthetic(filtered, scale=1)
    index.run(filtered)
    kept = {parse_key(key)[1] for _, key in keys(synthetic(filtered, scale=2))}
    assert kept == {i for i in range(20) if 0.1 + i % 10 / 50 >= 0.2}


def test_a_scale_beyond_the_index_and_a_run_without_one_are_refused(made):
    with pytest.raises(DataError, match=r"reaches 2x .*; 3x .*run `python -m synaug index"):
        synthetic(made, scale=3)
    with pytest.raises(DataError, match="other has no index yet; run `python -m synaug index"):
        synthetic(replace(made, run="other"), scale=1)


def test_a_manifest_that_changed_after_it_was_indexed_is_refused(made):
    key = load_index(made.store, made.run).parts[0].manifest
    made.store.put(key, made.store.get(key).replace(b'"cd"', b'"sd"'))
    with pytest.raises(DataError, match="changed after it was indexed"):
        synthetic(made, scale=1)
