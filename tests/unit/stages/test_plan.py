"""What the first plan freezes, what may grow, and what is refused."""

import json

import pytest
import yaml

from synaug.data import layout
from synaug.errors import DataError, ModelError, UsageError
from synaug.reporting.plan_text import plan_text
from synaug.run.job import open_job, open_run
from synaug.run.plan import Plan
from synaug.stages import plan as planning
from tests.planned import CLASSES, INFO, configuration, make_plan, put_manifests, put_real


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """The models that the plan resolves, changeable; resolving real ones is the backends' to test."""
    found = dict(INFO)
    monkeypatch.setattr(planning, "_resolvers", lambda: [lambda config, role=role: found[role] for role in found])
    monkeypatch.setattr(planning, "describe_downloads", lambda config, models: "to download: sd15 2.7 GB")
    return found


@pytest.fixture
def planned(store):
    put_real(store)
    return store


def test_a_plan_holds_classes_counts_shards_and_a_whole_run_yaml(planned):
    plan, _ = make_plan(planned)
    assert plan.real_counts == dict.fromkeys(CLASSES, 10)
    assert sorted(c for shard in plan.class_shards for c in shard) == sorted(CLASSES)
    assert Plan.model_validate_json(planned.get(layout.plan("first"))) == plan
    stored = yaml.safe_load(planned.get(layout.run_yaml("first")))
    assert [entry["id"] for entry in stored["classes"]] == list(CLASSES)
    assert stored["images"]["jpeg_quality"] == 92  # defaults are written out
    assert plan.estimate.images == 40


def test_planning_again_changes_nothing(planned):
    plan, _ = make_plan(planned)
    put_manifests(planned, plan, configuration(), 1)
    before = {key: planned.get(key) for key in planned.list("")}
    again, notes = make_plan(planned)
    assert (again.digest, again.class_shards) == (plan.digest, plan.class_shards)
    assert notes == [
        "arms that wait for a larger scale: naive-2x, auxbn-2x",
        "everything up to 1x is there: nothing to make",
    ]
    after = {key: planned.get(key) for key in planned.list("")}
    assert [key for key in after if after[key] != before.get(key)] == [
        layout.plan("first")
    ]  # the estimate: nothing is left


def test_growth_plans_only_the_multiples_that_are_missing(planned):
    plan, _ = make_plan(planned)
    put_manifests(planned, plan, configuration(), 1)
    grown, notes = make_plan(planned, "scale=6x")
    assert grown.digest == plan.digest
    assert grown.class_shards == plan.class_shards
    made = grown.estimate
    assert (made.images, made.images_left, made.multiples) == (240, 200, [2, 3, 4, 5, 6])
    assert notes == ["x1 as before; to make: x2, x3, x4, x5, x6"]


def test_growable_and_execution_changes_rewrite_run_yaml_once_work_exists(planned):
    plan, _ = make_plan(planned)
    put_manifests(planned, plan, configuration(), 1)
    make_plan(planned, "seeds=[0, 1, 2]", "compute.price=3", "compute.rate=5")
    config, again = open_run(planned, "first")
    assert (config.seeds, config.compute.price) == ([0, 1, 2], 3.0)
    assert again.class_shards == plan.class_shards  # a measured rate does not cut them again


def test_an_identity_change_replaces_the_plan_before_any_work(planned):
    first, _ = make_plan(planned)
    second, _ = make_plan(planned, "images.guidance_scale=2.0")
    assert first.digest != second.digest
    assert open_run(planned, "first")[0].images.guidance_scale == 2.0


@pytest.mark.parametrize("work", ["prompts", "manifest"])
def test_an_identity_change_is_refused_with_the_difference_once_work_exists(planned, work):
    plan, _ = make_plan(planned)
    if work == "prompts":
        planned.put(layout.prompts("first", "bag"), b"{}")
    else:
        put_manifests(planned, plan, configuration(), 1)
    before = {key: planned.get(key) for key in planned.list("")}
    line = (
        r"run 'first' has prompts or images .* made otherwise: seed 0 -> 1, "
        r"images\.guidance_scale 1\.0 -> 2\.0; take another --run"
    )
    with pytest.raises(DataError, match=line):
        make_plan(planned, "images.guidance_scale=2.0", "seed=1")
    assert {key: planned.get(key) for key in planned.list("")} == before


def test_other_real_images_or_another_model_are_identity_changes(planned, models):
    make_plan(planned)
    planned.put(layout.prompts("first", "bag"), b"{}")
    put_real(planned, per_class=11)
    with pytest.raises(DataError, match="real images of bag 10 -> 11"):
        make_plan(planned)
    put_real(planned)
    with pytest.raises(DataError, match=r'classes\.coat .*"names": \["coat"\].* -> .*"overcoat"'):
        make_plan(planned, f"classes={[{'id': c, 'names': ['overcoat' if c == 'coat' else c]} for c in CLASSES]}")


def test_another_run_name_is_another_run(planned):
    make_plan(planned)
    planned.put(layout.prompts("first", "bag"), b"{}")
    plan, _ = make_plan(planned, "images.guidance_scale=2.0", run="second")
    assert open_run(planned, "second")[1].digest == plan.digest


def test_a_commit_is_pinned_and_kept_though_the_hub_moved_on(planned, models):
    commit = "0123456789abcdef" * 2 + "01234567"
    models["diffusion"] = INFO["diffusion"].model_copy(update={"revision": commit})
    make_plan(planned)
    assert open_run(planned, "first")[0].images.revision == commit
    planned.put(layout.prompts("first", "bag"), b"{}")
    models["diffusion"] = INFO["diffusion"].model_copy(update={"revision": commit[::-1]})
    assert make_plan(planned)[0].models[-1].revision == commit
    with pytest.raises(DataError, match=r"images\.revision"):
        make_plan(planned, f"images.revision={commit[::-1]}")


def test_what_is_still_to_download_is_said_until_the_run_has_begun(planned):
    assert "to download: sd15 2.7 GB" in make_plan(planned)[1]
    planned.put(layout.prompts("first", "bag"), b"{}")
    assert "to download: sd15 2.7 GB" not in make_plan(planned)[1]


def test_a_restricted_licence_is_asked_for(planned, models):
    models["diffusion"] = INFO["diffusion"].model_copy(update={"license": "sai-nc", "restricted": True})
    with pytest.raises(
        ModelError, match=r"a generator is under the restricted licence sai-nc; .* images\.accept_license=sai-nc"
    ):
        make_plan(planned)
    assert not planned.exists(layout.plan("first"))
    make_plan(planned, "images.accept_license=sai-nc")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("arms.naive-2x.kind=oracle", "oracle"),
        (
            "training.synthetic_share=0.001",
            "synthetic_share 0.001 of batch_size 128 is 0 images; a batch needs 1 to 127 synthetic ones",
        ),
        ("arms.a/b={kind: real}", "arm 'a/b': a name has letters"),
    ],
)
def test_arms_that_cannot_be_trained_are_refused(planned, override, line):
    with pytest.raises(UsageError, match=line):
        make_plan(planned, override)


def test_a_job_takes_execution_settings_only_and_known_units(planned):
    make_plan(planned)
    job = open_job(planned.url, "first", shard=1, overrides=["compute.device=cpu"])
    assert (job.config.compute.device, job.shard) == ("cpu", 1)
    for given, line in [
        ({"overrides": ["images.guidance_scale=3"]}, "images.guidance_scale is identity: stages take it from the plan"),
        ({"overrides": ["compute.devise=cpu"]}, r"did you mean compute\.device\?"),
        ({"shard": 2}, "class shards 0 to 1"),
        ({"arm": "auxbn"}, "has the arms real, naive-2x, auxbn-2x"),
        ({"seed": 9}, "has the training seeds 0, 1"),
    ]:
        with pytest.raises(UsageError, match=line):
            open_job(planned.url, "first", **given)
    with pytest.raises(DataError, match=r"run 'other' is not planned in .*; do `synaug plan"):
        open_job(planned.url, "other")


def test_the_pool_of_a_run_is_recorded_and_another_refused_once_work_exists(planned):
    assert make_plan(planned)[0].pool is None
    assert make_plan(planned, "compute.pool=a100")[0].pool == "a100"
    plan, _ = make_plan(planned, "compute.pool=h100")  # nothing was made yet
    put_manifests(planned, plan, configuration(), 1)
    with pytest.raises(
        DataError,
        match=r"made on the GPU pool 'h100', compute\.pool=a100 is another.*compute\.pool=h100.*another --run",
    ):
        make_plan(planned, "compute.pool=a100")
    assert make_plan(planned)[0].pool == make_plan(planned, "compute.pool=h100")[0].pool == "h100"


def test_every_model_of_the_hub_is_pinned(planned, models):
    commit = "0123456789abcdef0123456789abcdef01234567"
    for role in models:
        models[role] = models[role].model_copy(update={"revision": commit})
    make_plan(planned)
    config, _ = open_run(planned, "first")
    assert {config.images.revision, config.prompts.llm.revision, config.prompts.clip.revision} == {commit}
    plan, _ = make_plan(planned)  # asked without a revision: it stays
    assert {model.revision for model in plan.models} == {commit}


def no_pause(seconds: float) -> None:
    """In place of a wait for a plan that nobody writes."""


class Killed(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


class KilledAt:
    """A store that ends its process as the n-th put begins, or, half a put later, as it has ended."""

    def __init__(self, store, moment: int):
        self.store, self.moments = store, moment

    def _moment(self) -> None:
        if self.moments == 0:
            raise Killed
        self.moments -= 1

    def put(self, key, data, **more):
        self._moment()
        placed = self.store.put(key, data, **more)
        self._moment()
        return placed

    def __getattr__(self, name):
        return getattr(self.store, name)


def test_planning_puts_run_yaml_and_then_the_plan(planned):
    """The moments of the test below are all that there are."""
    puts = []

    class Listed(KilledAt):
        def put(self, key, data, **more):
            puts.append(key)
            return self.store.put(key, data, **more)

    make_plan(Listed(planned, 0))
    assert puts == [layout.run_yaml("first"), layout.plan("first")]


@pytest.mark.parametrize("begun", [False, True], ids=["before any work", "once images exist"])
@pytest.mark.parametrize("moment", range(4))
def test_a_plan_killed_at_any_moment_leaves_one_scale_and_is_planned_again(planned, moment, begun):
    plan, _ = make_plan(planned)
    if begun:
        put_manifests(planned, plan, configuration(), 1)
    with pytest.raises(Killed):
        make_plan(KilledAt(planned, moment), "scale=2x", "arms.more={kind: real}")
    if moment in (1, 2):  # run.yaml is the new one, plan.json the old one
        with pytest.raises(DataError, match=r"planning was interrupted.*do `synaug plan .* --run first` again"):
            open_run(planned, "first", pause=no_pause)
    else:
        config, opened = open_run(planned, "first")
        assert config.multiple == opened.scale == (1 if moment == 0 else 2)
        assert ("more" in config.arms) == (moment == 3)
    again, _ = make_plan(planned, "scale=2x", "arms.more={kind: real}")
    config, opened = open_run(planned, "first")
    assert opened == again and config.multiple == opened.scale == 2 and "more" in config.arms
    assert opened.class_shards == plan.class_shards


@pytest.mark.parametrize("moment", range(4))
def test_a_first_plan_killed_at_any_moment_is_none_or_whole(planned, moment):
    with pytest.raises(Killed):
        make_plan(KilledAt(planned, moment))
    if moment == 3:
        assert open_run(planned, "first")[1].scale == 1
    else:
        with pytest.raises(DataError, match="is not planned"):
            open_run(planned, "first")
    make_plan(planned)
    assert open_run(planned, "first")[1].scale == 1


def test_a_plan_from_before_the_digest_opens_unless_its_scale_is_another(planned):
    plan, _ = make_plan(planned)
    old = plan.model_copy(update={"run_yaml": None})
    planned.put(layout.plan("first"), old.model_dump_json(exclude={"run_yaml"}).encode())
    assert open_run(planned, "first")[1] == old
    planned.put(layout.run_yaml("first"), planned.get(layout.run_yaml("first")).replace(b"scale: 1x", b"scale: 2x", 1))
    with pytest.raises(DataError, match="planning was interrupted"):
        open_run(planned, "first", pause=no_pause)


def put_as_before_the_digest(store, plan) -> None:
    """plan.json as versions wrote it that did not record their run.yaml."""
    store.put(layout.plan("first"), plan.model_dump_json(exclude={"run_yaml"}).encode())


@pytest.mark.parametrize("moment", range(6))
def test_a_run_from_before_the_digest_planned_again_and_killed_at_any_moment_is_one_plan(planned, moment):
    old, _ = make_plan(planned)
    put_as_before_the_digest(planned, old)
    changes = ("images.guidance_scale=7.0", "real.per_class=5")
    with pytest.raises(Killed):
        make_plan(KilledAt(planned, moment), *changes)
    if moment in (3, 4):  # run.yaml is the new one, plan.json the old one
        with pytest.raises(DataError, match="planning was interrupted"):
            open_run(planned, "first", pause=no_pause)
    else:
        config, plan = open_run(planned, "first", pause=no_pause)
        renewed = moment == 5
        assert (config.images.guidance_scale == 7.0, config.real.per_class == 5) == (renewed, renewed)
        assert (plan.digest == old.digest, plan.real_counts == old.real_counts) == (not renewed, not renewed)
    again, _ = make_plan(planned, *changes)
    config, plan = open_run(planned, "first", pause=no_pause)
    assert plan == again and config.images.guidance_scale == 7.0 and plan.real_counts == dict.fromkeys(CLASSES, 5)


class Watched:
    """A store that notes what is read, and does something once, after the first run.yaml was read."""

    def __init__(self, store, then=lambda: None):
        self.store, self.then, self.calls = store, then, []

    def exists(self, key):
        self.calls.append(("exists", key))
        return self.store.exists(key)

    def get(self, key, **more):
        self.calls.append(("get", key))
        data = self.store.get(key, **more)
        if key == layout.run_yaml("first"):
            then, self.then = self.then, lambda: None
            then()
        return data

    def __getattr__(self, name):
        return getattr(self.store, name)


def test_a_run_is_opened_with_four_calls_of_the_store(planned):
    make_plan(planned)
    watched = Watched(planned)
    open_run(watched, "first")
    files = layout.plan("first"), layout.run_yaml("first")
    assert sorted(watched.calls) == [(call, file) for call in ("exists", "get") for file in files]


def test_a_plan_made_between_the_two_reads_is_opened_whole(planned):
    make_plan(planned)
    again = Watched(planned, lambda: make_plan(planned, "images.guidance_scale=7.0", "arms.more={kind: real}"))
    config, plan = open_run(again, "first", pause=no_pause)
    assert config.images.guidance_scale == 7.0 and "more" in config.arms
    assert plan == open_run(planned, "first")[1]


def test_a_stage_that_starts_while_a_plan_is_written_waits_for_it_ten_seconds(planned):
    make_plan(planned)
    pauses = []
    with pytest.raises(Killed):
        make_plan(KilledAt(planned, 1), "scale=2x")

    def plan_at_the_third(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            make_plan(planned, "scale=2x")

    config, plan = open_run(planned, "first", pause=plan_at_the_third)
    assert config.multiple == plan.scale == 2 and len(pauses) == 3
    with pytest.raises(Killed):
        make_plan(KilledAt(planned, 1), "scale=3x")
    pauses = [0.0] * 3
    with pytest.raises(DataError, match="planning was interrupted"):
        open_run(planned, "first", pause=plan_at_the_third)
    assert sum(pauses) == 10


@pytest.mark.parametrize("older", ["without whole", "with a field more"])
def test_a_plan_whose_estimate_another_version_wrote_opens_and_is_planned_again(planned, older):
    plan, _ = make_plan(planned)
    stored = json.loads(planned.get(layout.plan("first")))
    if older == "without whole":
        del stored["estimate"]["whole"]
    else:
        stored["estimate"]["energy"] = 1.0
    planned.put(layout.plan("first"), json.dumps(stored).encode())
    assert open_run(planned, "first")[1] == plan.model_copy(update={"estimate": None})
    assert make_plan(planned)[0] == open_run(planned, "first")[1] == plan


def test_an_estimate_that_is_none_at_all_is_refused(planned):
    plan, _ = make_plan(planned)
    with pytest.raises(ValueError, match="estimate"):
        Plan.model_validate(plan.model_dump() | {"estimate": "soon"})


def test_the_text_of_a_plan_names_the_gpu_that_the_estimate_is_of(planned):
    settings = ["compute.rate=2", "compute.price=3"]
    for given, named in ((settings, ""), ([*settings, "compute.gpu_name=H100"], " (H100)")):
        config, (plan, notes) = configuration(*given), make_plan(planned, *given)
        assert f"2 images/s a GPU{named} (compute.rate)" in plan_text("first", config, plan, notes)


def test_the_estimate_of_a_plan_is_stored_as_it_was_before_it_had_a_type(planned):
    make_plan(planned)
    stored = json.loads(planned.get(layout.plan("first")))
    images = (
        "scale multiples images images_left tars bytes rate rate_source gpus gpu_hours wall_hours longest_shard_hours"
    )
    assert list(stored["estimate"]) == [*images.split(), "price", "cost", "whole"]
    whole = "seconds wall_seconds workers gpu_hours price cost cost_at_least unmeasured"
    assert list(stored["estimate"]["whole"]) == whole.split()
    assert list(stored["estimate"]["whole"]["seconds"]) == ["prompts", "images", "train", "evaluate"]
