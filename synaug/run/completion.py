"""What of a run is done and current: the one answer for status, the local runner and the stages alike.

Done is what is in the store; current is what was made by the settings, models and data that the run has now.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from synaug.config import Config, arms
from synaug.config.arms import ResolvedArm
from synaug.config.run import TestSet
from synaug.data import layout
from synaug.data.store import Store
from synaug.run.plan import Plan, active_arms
from synaug.run.quotas import Part
from synaug.run.results import Evaluation, Results, TestResult
from synaug.run.stages import STAGES, Proof, Task


@dataclass(frozen=True)
class Count:
    """Units of a task, of which `done` are done and current."""

    done: int
    total: int


class Completion:
    """One run as its store holds it; a folder is listed once, when it is first asked for."""

    def __init__(self, store: Store, run: str, config: Config, plan: Plan):
        self.store, self.run, self.config, self.plan = store, run, config, plan
        self._split_digests: dict[str, str | None] = {}

    def count(self, task: Task) -> Count:
        """Count the units of a task; of a report as if all before it were done."""
        counters: dict[Proof, Callable[[Task], Count]] = {
            Proof.RECORD: self._record,
            Proof.PROMPTS: self._prompts,
            Proof.MANIFESTS: self._images,
            Proof.INDEX: lambda task: Count(int(self.is_indexed()), 1),
            Proof.TRAINING: self._training,
            Proof.EVALUATION: self._evaluation,
            Proof.REPORT: lambda task: Count(int(self.store.exists(layout.report(self.run))), 1),
        }
        return counters[STAGES[task.stage].proof](task)

    def missing_prompts(self, shard: int) -> list[str]:
        """List the classes of a class shard that have no prompts file, by id."""
        return [class_id for class_id in self.plan.class_shards[shard] if class_id not in self._prompts_files]

    def missing_parts(self, parts: list[Part]) -> list[Part]:
        """List those of some planned parts that have no manifest."""
        return [part for part in parts if self.manifest(part) not in self.manifests]

    def manifest(self, part: Part) -> str:
        """Return the key of a part's manifest."""
        return layout.synthetic_manifest(self.run, part.multiple, part.shard, part.number)

    def is_indexed(self) -> bool:
        """Tell whether the index is of this plan, scale and filter and lists every part; else it is made again."""
        index, plan = self.index, self.plan
        made_of = (index.get("digest"), index.get("scale"), index.get("min_clip_score"))
        if made_of != (plan.digest, plan.scale, self.config.index.min_clip_score):
            return False
        listed = {part["manifest"] for part in index["parts"]}
        shards = range(len(plan.class_shards))
        return all(self.manifest(part) in listed for n in shards for part in plan.shard_parts(self.config, n))

    def is_trained(self, arm: str, seed: int) -> bool:
        """Tell whether an arm is trained with the settings that it has now; with others the train stage refuses it."""
        return training_is_current(self._done(arm, seed), arms.resolve_arm(self.config, arm))

    def evaluation(self, arm: str, seed: int) -> Evaluation | None:
        """Return what was measured of the model that is there now; None where nothing was."""
        key = layout.evaluation(self.run, arm, seed)
        if key not in self._evaluation_files:
            return None
        evaluation = Evaluation.model_validate_json(self.store.get(key))
        return evaluation if evaluation.trained == self.training_digest(arm, seed) else None

    def unmeasured_tests(self, evaluation: Evaluation | None) -> dict[str, TestSet]:
        """Return the test sets, by name, without a result in an evaluation, as asked for and as imported now."""
        results = evaluation.tests if evaluation else {}
        return {
            name: test
            for name, test in self.config.tests.items()
            if not result_is_current(results.get(name), test, self.split_digest(test.split))
        }

    def results(self) -> Results:
        """Gather all results that are current, arms, seeds and tests in the order of the configuration.

        What was measured of another training, or of a test set that is another one now, is left out: it is missing.
        """
        evaluations = []
        for arm in self.config.arms:
            for seed in self.config.seeds:
                if evaluation := self.evaluation(arm, seed):
                    unmeasured = self.unmeasured_tests(evaluation)
                    tests = {name: evaluation.tests[name] for name in self.config.tests if name not in unmeasured}
                    if tests or not unmeasured:
                        evaluations.append(evaluation.model_copy(update={"tests": tests}))
        return Results(evaluations)

    def training_digest(self, arm: str, seed: int) -> str | None:
        """Return the SHA-256 of a training's done.json, which its evaluation records; None where there is none."""
        key = layout.training(self.run, arm, seed, "done.json")
        return hashlib.sha256(self.store.get(key)).hexdigest() if key in self._done_files else None

    def split_digest(self, split: str) -> str | None:
        """Return the SHA-256 of a split's list, None where it is not imported: another import is another test set."""
        if split not in self._split_digests:
            key = layout.real_split(split)
            data = self.store.get(key) if self.store.exists(key) else None
            self._split_digests[split] = None if data is None else hashlib.sha256(data).hexdigest()
        return self._split_digests[split]

    def record(self, task: Task) -> bytes:
        """Return the completion record of a task: a digest of what it is made of, for stages with no better proof.

        Of a class shard that is the plan and its scale; of a training also the arm's settings; of what is done once all
        arms, training seeds and test sets.
        """
        if task.shard is not None:
            names: list[str] = []
        else:
            names = [task.arm] if task.arm is not None else active_arms(self.config)
        settings = [arms.resolve_arm(self.config, name).frozen() for name in names]
        made_of: list[object] = [self.plan.digest, self.plan.scale, settings]
        if task.unit == "all":
            made_of += [self.config.seeds, {name: test.model_dump() for name, test in self.config.tests.items()}]
        text = json.dumps(made_of, sort_keys=True)
        return json.dumps({"of": hashlib.sha256(text.encode()).hexdigest()}).encode()

    @cached_property
    def manifests(self) -> set[str]:
        """Keys of the manifests of all parts that are published, also beyond the planned scale."""
        return {key for key in self.store.list(layout.synthetic_folder(self.run)) if key.endswith(".json")}

    @cached_property
    def index(self) -> dict[str, Any]:
        """The index as JSON; empty where there is none."""
        key = layout.index(self.run)
        return json.loads(self.store.get(key)) if self.store.exists(key) else {}

    @cached_property
    def _prompts_files(self) -> set[str]:
        prefix = layout.prompts_folder(self.run)
        return {key.removeprefix(prefix).removesuffix(".json") for key in self.store.list(prefix)}

    @cached_property
    def _done_files(self) -> set[str]:
        return {key for key in self.store.list(layout.trainings_folder(self.run)) if key.endswith("/done.json")}

    @cached_property
    def _evaluation_files(self) -> set[str]:
        return set(self.store.list(layout.evaluations_folder(self.run)))

    def _done(self, arm: str, seed: int) -> dict[str, Any] | None:
        key = layout.training(self.run, arm, seed, "done.json")
        return json.loads(self.store.get(key)) if key in self._done_files else None

    def _record(self, task: Task) -> Count:
        key = layout.completion(self.run, task.stage, task.unit)
        return Count(int(self.store.exists(key) and self.store.get(key) == self.record(task)), 1)

    def _prompts(self, task: Task) -> Count:
        assert task.shard is not None
        total = len(self.plan.class_shards[task.shard])
        return Count(total - len(self.missing_prompts(task.shard)), total)

    def _images(self, task: Task) -> Count:
        assert task.shard is not None
        parts = self.plan.shard_parts(self.config, task.shard)
        total = _images_of(parts)
        return Count(total - _images_of(self.missing_parts(parts)), total)

    def _training(self, task: Task) -> Count:
        assert task.arm is not None and task.seed is not None
        steps = arms.resolve_arm(self.config, task.arm).steps
        return Count(steps if self.is_trained(task.arm, task.seed) else 0, steps)

    def _evaluation(self, task: Task) -> Count:
        assert task.arm is not None and task.seed is not None
        evaluation = self.evaluation(task.arm, task.seed)
        return Count(int(evaluation is not None and not self.unmeasured_tests(evaluation)), 1)


def training_is_current(done: dict[str, Any] | None, arm: ResolvedArm) -> bool:
    """Tell whether a training is finished with the settings that its arm has now.

    done: its done.json, None where there is none.
    """
    return done is not None and not arms.changes(done, arm.frozen())


def result_is_current(result: TestResult | None, test: TestSet, split_digest: str | None) -> bool:
    """Tell whether a result is of a test set as it is asked for and imported now.

    split_digest: of the split's list; None, the split is no longer imported: no result is of it.
    """
    if result is None or (result.split, result.subset, result.domain) != (test.split, test.subset, test.domain):
        return False
    return result.data == split_digest


def _images_of(parts: list[Part]) -> int:
    return sum(len(part.images) for part in parts)
