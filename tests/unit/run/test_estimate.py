"""What a run takes: shards are cut by work, growth counts what is missing, the unmeasured stays unmeasured."""

import pytest

from synaug.config.load import load_config
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.run.estimate import MOST_SHARDS, Rate, estimate, lay_out_shards
from synaug.run.plan import Plan


def counts(*images: int) -> dict[str, int]:
    return {f"c{n:04d}": count for n, count in enumerate(images)}


def planned(config, real: dict[str, int], made, scale: int) -> Plan:
    return Plan(
        digest="",
        classes=[ClassEntry(id=c, names=[c]) for c in real],
        real_counts=real,
        class_shards=made.class_shards,
        part_images=made.part_images,
        models=[],
        styles=[],
        scale=scale,
        estimate={},
        versions={},
    )


def free(*overrides: str):
    return load_config("demo", ["class_shards=null", "images.part_images=null", *overrides])


def test_shards_hold_about_shard_hours_of_work_at_max_scale():
    real = counts(*[1200] * 20)
    made = lay_out_shards(free("max_scale=6"), real, rate=10.0)  # 24,000 real, 144,000 images, 4 hours
    assert len(made.class_shards) == 4
    assert [len(shard) for shard in made.class_shards] == [5, 5, 5, 5]
    assert not made.capped


def test_uneven_classes_are_balanced_and_keep_their_order():
    real = counts(1000, 10, 10, 500, 490, 500, 490)
    made = lay_out_shards(free("class_shards=3"), real, rate=1.0)
    loads = [sum(real[c] for c in shard) for shard in made.class_shards]
    assert loads == [1000, 1000, 1000]
    assert all(shard == sorted(shard) for shard in made.class_shards)
    assert sorted(c for shard in made.class_shards for c in shard) == list(real)


def test_shards_are_capped_and_say_so():
    made = lay_out_shards(free(), counts(*[1300] * 1000), rate=0.5)
    assert (len(made.class_shards), made.capped) == (MOST_SHARDS, True)


def test_a_part_is_ten_minutes_in_whole_batches():
    assert (
        lay_out_shards(free("images.batch_size=64"), counts(5000), rate=3.0).part_images == 1792
    )  # 1,800 down to 28 batches
    assert lay_out_shards(free("images.part_images=77"), counts(5000), rate=3.0).part_images == 77


def test_growth_counts_only_what_has_no_manifest():
    config = free("scale=6x", "compute.price=2", "compute.gpus=4", "images.part_images=100")
    real = counts(100, 100)
    plan = planned(config, real, lay_out_shards(config, real, None), 6)
    published = {
        layout.synthetic_manifest("r", 1, part.shard, part.number)
        for shard in range(len(plan.class_shards))
        for part in plan.parts(config, shard, 1)
    }
    forecast = estimate(config, plan, Rate(10.0, "measured", 20_000), published, "r")
    assert (forecast.images, forecast.images_left, forecast.multiples) == (1200, 1000, [2, 3, 4, 5, 6])
    assert forecast.bytes == 1200 * 20_000
    assert forecast.gpu_hours == pytest.approx(1000 / 10 / 3600)
    assert forecast.cost == pytest.approx(2 * forecast.gpu_hours)
    assert forecast.tars == 12


def test_wall_time_is_never_below_the_longest_shard():
    config = free("scale=1x", "compute.gpus=100")
    real = counts(1000, 10, 10)
    made = lay_out_shards(free("class_shards=3"), real, rate=1.0)
    forecast = estimate(config, planned(config, real, made, 1), Rate(1.0, "measured"), set(), "r")
    assert forecast.wall_hours == pytest.approx(1000 / 3600)


def test_what_nobody_measured_is_none():
    config = free("compute.price=2")
    real = counts(100)
    forecast = estimate(
        config, planned(config, real, lay_out_shards(config, real, None), 2), Rate(None, "unmeasured"), set(), "r"
    )
    assert (forecast.bytes, forecast.gpu_hours, forecast.wall_hours, forecast.cost) == (None, None, None, None)
