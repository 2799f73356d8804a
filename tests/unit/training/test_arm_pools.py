from collections import Counter

import pytest

from synaug.config import arms
from synaug.data.manifest import TarTable
from synaug.errors import DataError
from synaug.training import arm_pools
from tests.unit.training import helpers


def tables(store, arm: str, **settings):
    job = helpers.job(store, arm, settings=helpers.config(**settings))
    return arm_pools.tables(job, arms.resolve_arm(job.config, arm))


def size(pool) -> int:
    return sum(len(table.key) for table in pool)


def test_arms_take_their_pools(disk):
    assert {name: size(pool) for name, pool in tables(disk, "real").items()} == {"real": 32}
    for arm in ("naive", "auxbn", "oracle"):
        assert {name: size(pool) for name, pool in tables(disk, arm).items()} == {"real": 32, "synthetic": 32}
    assert all(table.tar.startswith("runs/r/synthetic/x1/") for table in tables(disk, "naive")["synthetic"])
    assert all(table.tar.startswith("real/more-") for table in tables(disk, "oracle")["synthetic"])


def test_an_oracles_cut_is_seeded_balanced_and_nested(empty):
    pool = helpers.add_split(empty, "more", images=64)
    small, large = (arm_pools.cut_pool(pool, n, seed=0) for n in (8, 20))
    keys = [{key for table in cut for key in table.key} for cut in (small, large)]
    assert len(keys[0]) == 8 and keys[0] < keys[1] and len(keys[1]) == 20
    assert Counter(label for table in small for label in table.label) == dict.fromkeys(range(4), 2)
    assert keys[0] != {key for table in arm_pools.cut_pool(pool, 8, seed=1) for key in table.key}


def test_an_oracle_larger_than_its_split_is_refused(empty):
    pool = helpers.add_split(empty, "more", images=16)
    with pytest.raises(DataError, match="holds 16 images of these classes and 17 are asked for"):
        arm_pools.cut_pool(pool, 17, seed=0)


def test_the_digest_tells_tars_and_choices_apart(empty):
    pool = helpers.add_split(empty, "more", images=32)
    assert arm_pools.digest(pool) == arm_pools.digest(pool[::-1])
    assert arm_pools.digest(pool) != arm_pools.digest(pool[:1])
    assert arm_pools.digest(pool) != arm_pools.digest(arm_pools.cut_pool(pool, 31, seed=0))
    changed = pool[0].model_copy(update={"sha256": "0" * 64})
    assert arm_pools.digest(pool) != arm_pools.digest([changed, *pool[1:]])


def test_an_oracles_cut_is_what_it_was_when_checkpoints_froze_its_digest():
    pool = [
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
    cut = arm_pools.cut_pool(pool, 7, seed=3)
    assert [table.key for table in cut] == [["k00", "k03"], ["k11", "k15"], ["k23", "k24", "k25"]]
