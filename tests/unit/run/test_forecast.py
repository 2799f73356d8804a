"""What a run takes: exact sums of given rates, what is done is not counted, the unmeasured stays unmeasured."""

import json

import pytest

from synaug.config import arms
from synaug.data import layout
from synaug.run.forecast import estimate_images, forecast, read_forecast
from synaug.run.rates import ImagesRate, Pace, Rates, known_rates, shape
from synaug.run.sharding import lay_out_shards
from synaug.run.stages import STAGES, Task
from synaug.run.status import StageState, State, TaskState
from synaug.stages import plan as planning
from tests.planned import INFO, configuration, make_plan, put_real
from tests.unit.run.test_sharding import counts, free, plan_of

ARMS = "arms={real: {kind: real}, naive: {kind: naive, scale: 1x}}"


@pytest.fixture
def planned(store, monkeypatch):
    """(store, configuration, plan): two class shards of two classes, twenty images, 2 arms x 2 seeds of 500 steps."""
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    put_real(store)
    overrides = ["class_shards=2", ARMS, "compute.price=3.6"]
    plan, _ = make_plan(store, *overrides)
    return store, configuration(*overrides), plan


def rates(config, plan, start: float = 5.0, **changed: dict[str, Pace]) -> Rates:
    shapes = [shape(config, plan, arms.resolve_arm(config, name), None) for name in ("real", "naive")]
    paces = {
        "prompts": {"": Pace(4, 3)},
        "images": {"": Pace(2, 0.5)},
        "train": dict.fromkeys(shapes, Pace(1, 0.1)),
        "evaluate": dict.fromkeys(shapes, Pace(0, 2, cold=7)),
    }
    return Rates(workers=2, start=start, paces=paces | changed)


def state(done: dict[str, list[int]]) -> State:
    """done: units of each task, in order."""
    trainings = [(arm, seed) for arm in ("real", "naive") for seed in (0, 1)]
    totals = {"prompts": 2, "images": 20, "train": 500, "evaluate": 1}
    stages = {}
    for name in STAGES:
        if name in ("prompts", "images"):
            tasks = [Task(stage=name, shard=n) for n in range(2)]
        elif name in ("train", "evaluate"):
            tasks = [Task(stage=name, arm=arm, seed=seed) for arm, seed in trainings]
        else:
            tasks = []
        counts = done.get(name, [0] * len(tasks))
        stages[name] = StageState(
            stage=name, tasks=[TaskState(t, n, totals[name]) for t, n in zip(tasks, counts, strict=True)]
        )
    return State("first", 1, stages)


def test_the_sums_of_given_rates_are_exact(planned):
    _, config, plan = planned
    made = forecast(config, plan, state({}), rates(config, plan))
    assert made.seconds == pytest.approx(
        {"prompts": 2 * 10, "images": 2 * 12, "train": 4 * 51, "evaluate": 4 * 2 + 2 * 7}
    )
    assert made.wall_seconds == pytest.approx(5 + 22 + 2 * 53 + 7)
    assert made.cost == made.cost_at_least == pytest.approx(3.6 * sum(made.seconds.values()) / 3600)


def test_after_half_the_work_half_is_left(planned):
    _, config, plan = planned
    known = rates(config, plan, start=0.0, evaluate=dict.fromkeys(rates(config, plan).paces["evaluate"], Pace(0, 2)))
    whole = forecast(config, plan, state({}), known)
    half = {"prompts": [2, 0], "images": [20, 0], "train": [500, 500, 0, 0], "evaluate": [1, 1, 0, 0]}
    left = forecast(config, plan, state(half), known)
    assert {name: 2 * seconds for name, seconds in left.seconds.items()} == pytest.approx(whole.seconds)
    everything = {"prompts": [2, 2], "images": [20, 20], "train": [500] * 4, "evaluate": [1] * 4}
    assert forecast(config, plan, state(everything), rates(config, plan)).wall_seconds == 0


def test_a_training_to_be_done_again_is_to_be_evaluated_again(planned):
    _, config, plan = planned
    done = {"prompts": [2, 2], "images": [20, 20], "train": [0, 500, 500, 500], "evaluate": [1] * 4}
    assert forecast(config, plan, state(done), rates(config, plan)).seconds["evaluate"] == pytest.approx(2 + 7)


def test_what_nobody_measured_is_none_and_named(planned):
    _, config, plan = planned
    made = forecast(config, plan, state({}), rates(config, plan, prompts={}))
    assert (made.seconds["prompts"], made.wall_seconds, made.cost, made.unmeasured) == (None, None, None, ["prompts"])
    assert made.seconds["train"] == pytest.approx(204)
    done = {"prompts": [2, 2]}
    assert forecast(config, plan, state(done), rates(config, plan, prompts={})).unmeasured == []


def test_trainings_over_two_gpus_each_have_half_as_many_processes_and_take_half_as_long(planned):
    _, config, plan = planned
    two = configuration("class_shards=2", ARMS, "compute.price=3.6", "compute.gpus_per_training=2")
    made = {"prompts": [2, 2], "images": [20, 20]}
    paces = dict.fromkeys(rates(config, plan).paces["train"], Pace(0, 0.1))
    evaluate = dict.fromkeys(paces, Pace(0, 2))
    known = rates(config, plan, start=0.0, train=paces, evaluate=evaluate)
    one_each, two_each = (forecast(c, plan, state(made), known) for c in (config, two))
    assert one_each.wall_seconds == pytest.approx(2 * (50 + 2))  # four trainings on two processes
    assert two_each.wall_seconds == pytest.approx(4 * (25 + 2))  # one after another, each on both GPUs
    assert two_each.seconds == one_each.seconds


def test_trainings_are_dealt_out_seed_by_seed_as_the_runner_does(planned):
    _, config, plan = planned
    real, naive = (shape(config, plan, arms.resolve_arm(config, name), None) for name in ("real", "naive"))
    train, evaluate = {real: Pace(0, 0.02), naive: Pace(0, 0.06)}, dict.fromkeys((real, naive), Pace(0, 0))
    known = rates(config, plan, start=0.0, train=train, evaluate=evaluate)
    made = {"prompts": [2, 2], "images": [20, 20]}
    assert forecast(config, plan, state(made), known).wall_seconds == pytest.approx(10 + 10 + 30)  # arm by arm: 10 + 30


def test_a_rate_holds_for_its_settings_its_device_and_its_processes_only(planned):
    store, config, plan = planned
    name = shape(config, plan, arms.resolve_arm(config, "real"), None)
    pace = {"load": 1.0, "each": 0.1, "cold": 0.0}
    machine = {"device": "cpu", "workers": 2, "start": 3.0, "images_load": 2.0}
    written = {"machine": machine, "train": {name: {"train": pace, "evaluate": pace}}}
    for key, value in written.items():
        store.put(layout.timing("first", "preview", key), json.dumps(value).encode())
    assert known_rates(store, "first", config, plan).paces["train"] == {name: Pace(1.0, 0.1)}
    unmeasured = read_forecast(store, "first", config, plan).unmeasured
    assert unmeasured == ["prompts", "images", "train", "evaluate"]  # naive's are not known
    for other in ("compute.device=cuda", "compute.workers=3"):
        assert known_rates(store, "first", configuration("class_shards=2", ARMS, other), plan).paces["train"] == {}
    slower = configuration("class_shards=2", ARMS, "training.image_size=64")
    assert shape(slower, plan, arms.resolve_arm(slower, "real"), None) != name
    cheaper = configuration("class_shards=2", ARMS, "training.lr=0.5", "training.steps=9")
    assert shape(cheaper, plan, arms.resolve_arm(cheaper, "real"), None) == name


def test_growth_counts_only_what_has_no_manifest():
    config = free("scale=6x", "compute.price=2", "compute.gpus=4", "images.part_images=100")
    real = counts(100, 100)
    plan = plan_of(real, lay_out_shards(config, real, None), 6)
    published = {
        layout.synthetic_manifest("r", 1, part.shard, part.number)
        for shard in range(len(plan.class_shards))
        for part in plan.parts(config, shard, 1)
    }
    images = estimate_images(config, plan, ImagesRate(10.0, "measured", 20_000), published, "r")
    assert (images.images, images.images_left, images.multiples) == (1200, 1000, [2, 3, 4, 5, 6])
    assert images.bytes == 1200 * 20_000
    assert images.gpu_hours == pytest.approx(1000 / 10 / 3600)
    assert images.cost == pytest.approx(2 * images.gpu_hours)
    assert images.tars == 12


def test_wall_time_is_never_below_the_longest_shard():
    config = free("scale=1x", "compute.gpus=100")
    real = counts(1000, 10, 10)
    made = lay_out_shards(free("class_shards=3"), real, rate=1.0)
    images = estimate_images(config, plan_of(real, made, 1), ImagesRate(1.0, "measured"), set(), "r")
    assert images.wall_hours == pytest.approx(1000 / 3600)


def test_what_nobody_measured_is_none():
    config = free("compute.price=2")
    real = counts(100)
    images = estimate_images(
        config, plan_of(real, lay_out_shards(config, real, None), 2), ImagesRate(None, "unmeasured"), set(), "r"
    )
    assert (images.bytes, images.gpu_hours, images.wall_hours, images.cost) == (None, None, None, None)
