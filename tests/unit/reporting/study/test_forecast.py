"""The time of a study, from rates that one of its runs measured."""

import json

import pytest

from synaug.data import layout
from synaug.reporting.study.forecast import forecasts, lines, together
from synaug.run.job import open_run
from synaug.run.plan import Forecast
from synaug.run.rates import Pace, Rates, images_digest
from synaug.stages import plan as planning
from tests.planned import INFO, make_plan, put_real


def one(wall=600.0, unmeasured=(), **seconds):
    work = {"prompts": 0.0, "images": 0.0, "train": 0.0, "evaluate": 0.0} | seconds
    return Forecast(
        seconds=work,
        wall_seconds=None if unmeasured else wall,
        workers=2,
        gpu_hours=None,
        price=None,
        cost=None,
        cost_at_least=None,
        unmeasured=list(unmeasured),
    )


def test_runs_with_work_left_are_listed_and_summed():
    told = lines({"a": one(train=900.0, images=300.0), "b": one(wall=0.0), "c": one(wall=1200.0, train=2400.0)})
    assert [line.split()[0] for line in told] == ["a", "c", "in"]
    assert "images 5 min" in told[0] and "30 min" in told[-1]


def test_what_is_unmeasured_is_named_with_the_command_that_measures_it():
    told = lines({"a": one(train=900.0), "b": one(unmeasured=["train"])})
    assert told[1].endswith("unmeasured: train") and "`synaug preview --run b`" in told[-1]
    assert lines({"a": one(wall=0.0)}) == ["everything is there"]


def test_a_rate_of_one_run_serves_the_others_and_its_own_comes_first():
    own = Rates(workers=1, start=0.0, paces={"images": {"": Pace(0, 2)}, "train": {"small": Pace(0, 1)}})
    paces = {"small": Pace(0, 7), "large": Pace(0, 5)}
    measured = {"prompts": {"": Pace(1, 4)}, "images": {"": Pace(0, 9)}, "train": paces}
    other = Rates(workers=2, start=3.0, paces=measured)
    found = together([own, other])
    assert (found.workers, found.pace("prompts"), found.pace("images")) == (2, Pace(1, 4), Pace(0, 2))
    assert found.paces["train"] == {"small": Pace(0, 1), "large": Pace(0, 5)}


def test_a_run_is_estimated_from_the_images_rate_of_another_with_the_same_settings_only(store, monkeypatch):
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: INFO[role] for role in INFO])
    put_real(store)
    for run, seed in (("a", 0), ("b", 1)):
        make_plan(store, f"seed={seed}", run=run)
    make_plan(store, "images.guidance_scale=3.0", run="other")
    config, plan = open_run(store, "a")
    rate = {"of": images_digest(config, plan.models, None), "rate": 2.0, "device": "cpu", "bytes_per_image": 1000}
    store.put(layout.timing("a", "preview", "rate"), json.dumps(rate).encode())
    found = forecasts(store, ["a", "b", "other"])
    assert found["a"].seconds["images"] == found["b"].seconds["images"] == pytest.approx(20.0)
    assert "images" in found["other"].unmeasured and "train" in found["b"].unmeasured
