"""Reads a study's outcome from the store: evaluations of every run, paired and compared as its files ask."""

import json
from typing import Any

import numpy as np

from synaug.config import Config
from synaug.config.fields import identity_values
from synaug.data import layout
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.evaluation import frequency_groups, statistics
from synaug.evaluation.diagnostics import schema
from synaug.reporting.study import machine
from synaug.reporting.study.comparability import baselines, member
from synaug.reporting.study.definition import Comparison, Study, apart_from_arms
from synaug.reporting.study.outcome import Difference, Gain, Interval, OutcomeRow, RunFacts, StudyOutcome, Table
from synaug.reporting.study.reference import split_arm_ref
from synaug.run.identity import difference
from synaug.run.job import open_run
from synaug.run.plan import Plan
from synaug.run.results import Results, load_results
from synaug.run.status import read_state

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class Measured:
    """The finished runs of a study. Raises DataError for one that is missing or unfinished, with the command that makes it."""

    def __init__(self, store: Store, study: Study):
        self.store, self.study = store, study
        self.plans: dict[str, Plan] = {}
        self.results: dict[str, Results] = {}
        self.seconds: dict[str, dict[str, float]] = {}
        for run, config in study.configs.items():
            command = f"synaug study {' '.join(map(str, study.files))} --store {store.url} --only {run}"
            if not store.exists(layout.plan(run)):
                raise DataError(f"run {run} of the study is not in {store.url}; `{command}` makes it")
            planned, plan = open_run(store, run)
            _refuse_another(run, planned, config)
            state = read_state(store, run, config, plan)
            unfinished = [stage.stage for stage in state.stages.values() if stage.left and stage.stage != "report"]
            if unfinished:
                raise DataError(
                    f"run {run} of the study is not finished ({', '.join(unfinished)}); `{command}` goes on"
                )
            self.plans[run], self.results[run] = plan, load_results(store, run, config)
            self.seconds[run] = {
                stage.stage: round(stage.seconds, 1) for stage in state.stages.values() if stage.seconds
            }

    def parameters(self, reference: str) -> int:
        """Of the arm's exported model, from the header of its weights."""
        from math import prod

        from safetensors import deserialize

        run, arm = split_arm_ref(reference)
        weights = self.store.get(layout.training(run, arm, self.study.configs[run].seeds[0], "model.safetensors"))
        return sum(prod(tensor["shape"]) for name, tensor in deserialize(weights) if not name.endswith(BUFFERS))

    def refuse_other_data(self, references: list[str], test: str) -> None:
        """Raises DataError where the images of a test set were others at some evaluation: it was imported anew."""
        found = {}
        for reference in references:
            run, arm = split_arm_ref(reference)
            found[reference] = self.results[run].first(arm).tests[test].data
        other = next((reference for reference in references if found[reference] != found[references[0]]), None)
        if other:
            raise DataError(
                f"test {test} was another set of images when {other} was evaluated than for {references[0]}; `synaug evaluate` both again"
            )

    def accuracies(self, reference: str, test: str) -> dict[int, float]:
        run, arm = split_arm_ref(reference)
        return self.results[run].accuracies(arm, test)


def _refuse_another(run: str, planned: Config, config: Config) -> None:
    """The images in the store must be those that the study asks for."""
    table = identity_values(config)
    old = {
        key: None if table[key] is None and key.endswith("revision") else value
        for key, value in identity_values(planned).items()
    }
    if changed := difference(old, table):
        raise DataError(
            f"run {run} in the store was made otherwise than the study asks: {changed}; name another run, or set it back"
        )


def outcome(store: Store, study: Study) -> StudyOutcome:
    """Everything that the study's tables, figures and page say. Raises DataError for missing runs."""
    measured = Measured(store, study)
    made_on, versions = machine.together(store, list(study.configs))
    runs = {
        run: RunFacts(
            digest=plan.digest,
            real_images=sum(plan.real_counts.values()),
            synthetic_images=plan.estimate.images if plan.estimate else 0,
            changed=_flat(_own_changes(study, run)),
            seconds=measured.seconds[run],
        )
        for run, plan in measured.plans.items()
    }
    return StudyOutcome(
        titles=[part.title for part in study.parts],
        texts=[part.text for part in study.parts],
        files=[file.name for file in study.files],
        machine=made_on,
        versions=versions,
        hours=round(sum(sum(facts.seconds.values()) for facts in runs.values()) / 3600, 2),
        runs=runs,
        tables=[_table(measured, name, comparison) for name, comparison in study.comparisons.items()],
        diagnostics={run: _diagnostics(store, run) for run in study.diagnose},
    )


def _diagnostics(store: Store, run: str) -> dict[str, Any]:
    """Raises DataError where there are none, or of other images than there are now."""
    found, index = schema.load(store, run), schema.digest(store, layout.index(run))
    views = [found.fidelity, *(found.coverage.views if found.coverage else [])]
    if None in views or len(views) < 2 or any(view.inputs.synthetic != index for view in views):
        command = f"synaug diagnose --store {store.url} --run {run}"
        raise DataError(f"run {run} was not looked at since its images are complete; `{command}` does it")
    return found.model_dump(mode="json")


def _own_changes(study: Study, run: str) -> dict:
    """Of the run as a whole: its arms are told in their rows."""
    own = next(part.runs[run] for part in study.parts if run in part.runs)  # the same in every file
    return {key: value for key, value in apart_from_arms(own).items() if key not in ("seeds", "tests")}


def _flat(changes: dict, path: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in changes.items():
        flat |= (
            _flat(value, f"{path}{key}.") if isinstance(value, dict) and value else {f"{path}{key}": json.dumps(value)}
        )
    return flat


def _table(measured: Measured, name: str, comparison: Comparison) -> Table:
    config = measured.study.configs[split_arm_ref(comparison.references[0])[0]]
    tests = {test: config.tests[test].domain for test in comparison.tests or config.tests}
    for test in tests:
        measured.refuse_other_data(comparison.references, test)
    rows = [_row(measured, comparison, reference, list(tests)) for reference in [*comparison.real, *comparison.arms]]
    differences = [
        Difference(label=label, first=first, second=second, tests=_differences(measured, first, second, list(tests)))
        for label, (first, second) in comparison.differences.items()
    ]
    return Table(
        name=name,
        title=comparison.title,
        text=comparison.text,
        figure=comparison.figure,
        tests=tests,
        rows=rows,
        differences=differences,
    )


def _row(measured: Measured, comparison: Comparison, reference: str, tests: list[str]) -> OutcomeRow:
    run, arm = split_arm_ref(reference)
    own, seeds = measured.results[run].first(arm), {test: measured.accuracies(reference, test) for test in tests}
    arm_settings = (
        measured.study.configs[run].arms[arm].model_dump(mode="json", exclude_defaults=True, exclude={"kind", "scale"})
    )
    return OutcomeRow(
        arm=reference,
        kind=own.kind,
        scale=own.scale,
        model=own.model,
        parameters=measured.parameters(reference),
        changed=_flat(_own_changes(measured.study, run)) | _flat(arm_settings),
        top1={test: interval(values.values()) for test, values in seeds.items()},
        gain={} if reference in comparison.real else _gains(measured, comparison, reference, tests),
        shots=shot_accuracies(measured.results[run], measured.plans[run].real_counts, arm, tests),
        seeds=seeds,
    )


def shot_accuracies(
    results: Results, real_counts: dict[str, int], arm: str, tests: list[str]
) -> dict[str, dict[str, Interval]]:
    """Many-, medium- and few-shot accuracy by test set; empty where all classes have equally many real images."""
    groups = frequency_groups.groups(real_counts)
    found = {
        test: {name: frequency_groups.accuracies(results, arm, test, ids) for name, ids in groups.items()}
        for test in tests
        if groups
    }
    return {
        test: {name: interval(values.values()) for name, values in own.items() if values} for test, own in found.items()
    }


def _gains(measured: Measured, comparison: Comparison, reference: str, tests: list[str]) -> dict[str, Gain]:
    members = {name: member(measured.study, name) for name in comparison.references}
    candidates = [one.reference for one in baselines(comparison, members, members[reference])]
    gains = {}
    for test in tests if candidates else ():
        against = max(candidates, key=lambda name: np.mean(list(measured.accuracies(name, test).values())))
        found = _paired(measured, reference, against, test)
        gains[test] = Gain(**interval(found).model_dump(), against=against)
    return gains


def _differences(measured: Measured, first: str, second: str, tests: list[str]) -> dict[str, Interval]:
    return {test: interval(_paired(measured, first, second, test)) for test in tests}


def _paired(measured: Measured, first: str, second: str, test: str) -> list[float]:
    a, b = measured.accuracies(first, test), measured.accuracies(second, test)
    return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def interval(values) -> Interval:
    """Raises ValueError for no values."""
    sample = list(values)
    own = statistics.mean_with_interval(sample)
    return Interval(
        mean=own.mean,
        std=own.std,
        n=own.n,
        bootstrap=statistics.bootstrap(sample),
        t=None if own.low is None else (own.low, own.high),
    )
