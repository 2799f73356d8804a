"""Class shards are laid out by work, parts by time."""

from synaug.config.load import load_config
from synaug.data.classes import ClassEntry
from synaug.run.plan import Plan
from synaug.run.sharding import MOST_SHARDS, lay_out_shards


def counts(*images: int) -> dict[str, int]:
    return {f"c{n:04d}": count for n, count in enumerate(images)}


def plan_of(real: dict[str, int], made, scale: int) -> Plan:
    return Plan(
        digest="",
        classes=[ClassEntry(id=c, names=[c]) for c in real],
        real_counts=real,
        class_shards=made.class_shards,
        part_images=made.part_images,
        models=[],
        styles=[],
        scale=scale,
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
    made = lay_out_shards(free("images.batch_size=64"), counts(5000), rate=3.0)
    assert made.part_images == 1792  # 1,800 down to 28 batches
    assert lay_out_shards(free("images.part_images=77"), counts(5000), rate=3.0).part_images == 77
