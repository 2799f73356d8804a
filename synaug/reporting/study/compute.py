"""Reads a study's outcome from the store: evaluations of every run, paired and compared as its files ask."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from safetensors import deserialize

from synaug.config import Config
from synaug.config.fields import identity_values
from synaug.data import layout
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.evaluation import frequency_groups, statistics
from synaug.evaluation.diagnostics import schema
from synaug.reporting.study.comparability import baselines, member
from synaug.reporting.study.definition import Comparison, Study, apart_from_arms
from synaug.reporting.study.outcome import (
    Difference,
    Gain,
    Interval,
    OutcomeRow,
    RunOutcome,
    StudyOutcome,
    Table,
    split_arm_ref,
)
from synaug.run import environment
from synaug.run.completion import Completion
from synaug.run.identity import difference
from synaug.run.job import open_run
from synaug.run.plan import Plan
from synaug.run.results import Results
from synaug.run.status import read_state

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class MadeOn:
    """The machines that the runs of a study were made on, and the versions there."""

    machine: str
    versions: dict[str, str]


def record_machine(store: Store, run: str) -> None:
    """Note in the store, after work was done on a run, on what machine: whoever draws may sit at another one."""
    known = _recorded_machines(store, run)
    here = {
        "machine": environment.sentence(),
        "versions": {name: version for name, version in environment.versions().items() if version},
    }
    if here not in known:
        store.put(layout.timing(run, "study", "machines"), (json.dumps([*known, here], indent=1) + "\n").encode())


def _recorded_machines(store: Store, run: str) -> list[dict[str, Any]]:
    key = layout.timing(run, "study", "machines")
    return json.loads(store.get(key)) if store.exists(key) else []


def made_on(store: Store, runs: Iterable[str]) -> MadeOn:
    """Read what machines runs were made on; a version that differs is listed with each of its values."""
    machines = [machine for run in runs for machine in _recorded_machines(store, run)]
    names = dict.fromkeys(machine["machine"] for machine in machines)
    versions: dict[str, dict[str, None]] = {}
    for machine in machines:
        for name, version in machine["versions"].items():
            versions.setdefault(name, {})[version] = None
    return MadeOn("; ".join(names) or "not recorded", {name: ", ".join(several) for name, several in versions.items()})


class FinishedRuns:
    """The finished runs of a study.

    Raises DataError for one that is missing or unfinished, with the command that makes it.
    """

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
            self.plans[run], self.results[run] = plan, Completion(store, run, config, plan).results()
            self.seconds[run] = {
                stage.stage: round(stage.seconds, 1) for stage in state.stages.values() if stage.seconds
            }

    def parameters(self, reference: str) -> int:
        """Count the parameters of an arm's exported model, from the header of its weights."""
        run, arm = split_arm_ref(reference)
        weights = self.store.get(layout.training(run, arm, self.study.configs[run].seeds[0], "model.safetensors"))
        return sum(prod(tensor["shape"]) for name, tensor in deserialize(weights) if not name.endswith(BUFFERS))

    def accuracies(self, reference: str, test: str) -> dict[int, float]:
        """Read an arm's top-1 on a test set, by training seed."""
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
            f"run {run} in the store was made otherwise than the study asks: {changed}; "
            "name another run, or set it back"
        )


def outcome(store: Store, study: Study) -> StudyOutcome:
    """Read everything that the study's tables, figures and page show.

    Raises DataError for runs, test sets or diagnostics that are missing, unfinished or of something else.
    """
    finished, origin = FinishedRuns(store, study), made_on(store, study.configs)
    runs = {
        run: RunOutcome(
            digest=plan.digest,
            real_images=sum(plan.real_counts.values()),
            synthetic_images=plan.scale * sum(plan.real_counts.values()),
            changed=_flat(_own_changes(study, run)),
            seconds=finished.seconds[run],
        )
        for run, plan in finished.plans.items()
    }
    return StudyOutcome(
        titles=[part.title for part in study.parts],
        texts=[part.text for part in study.parts],
        files=[file.name for file in study.files],
        machine=origin.machine,
        versions=origin.versions,
        hours=round(sum(sum(run.seconds.values()) for run in runs.values()) / 3600, 2),
        runs=runs,
        tables=[_table(finished, name, comparison) for name, comparison in study.comparisons.items()],
        diagnostics={run: _diagnostics(store, run) for run in study.diagnose},
    )


def _diagnostics(store: Store, run: str) -> dict[str, Any]:
    """Raises DataError where there are none, or of other images than there are now."""
    findings, index = schema.load(store, run), schema.digest(store, layout.index(run))
    fidelity, views = findings.fidelity, findings.coverage.views if findings.coverage else []
    looked_at = {view.inputs.synthetic for view in views}
    if not fidelity or not views or fidelity.inputs.synthetic != index or looked_at != {index}:
        command = f"synaug diagnose --store {store.url} --run {run}"
        raise DataError(f"run {run} was not looked at since its images are complete; `{command}` does it")
    return findings.model_dump(mode="json")


def _own_changes(study: Study, run: str) -> dict[str, Any]:
    """Changes of the run as a whole: those of its arms are in their rows."""
    changes = next(part.runs[run] for part in study.parts if run in part.runs)  # the same in every file
    return {key: value for key, value in apart_from_arms(changes).items() if key not in ("seeds", "tests")}


def _flat(changes: dict[str, Any], path: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in changes.items():
        flat |= (
            _flat(value, f"{path}{key}.") if isinstance(value, dict) and value else {f"{path}{key}": json.dumps(value)}
        )
    return flat


def _table(finished: FinishedRuns, name: str, comparison: Comparison) -> Table:
    config = finished.study.configs[split_arm_ref(comparison.references[0])[0]]
    tests = {test: config.tests[test].domain for test in comparison.tests or config.tests}
    rows = [_row(finished, comparison, reference, list(tests)) for reference in [*comparison.real, *comparison.arms]]
    differences = [
        Difference(label=label, first=first, second=second, tests=_differences(finished, first, second, list(tests)))
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


def _row(finished: FinishedRuns, comparison: Comparison, reference: str, tests: list[str]) -> OutcomeRow:
    run, arm = split_arm_ref(reference)
    first, seeds = finished.results[run].first(arm), {test: finished.accuracies(reference, test) for test in tests}
    arm_settings = (
        finished.study.configs[run].arms[arm].model_dump(mode="json", exclude_defaults=True, exclude={"kind", "scale"})
    )
    return OutcomeRow(
        arm=reference,
        kind=first.kind,
        scale=first.scale,
        model=first.model,
        parameters=finished.parameters(reference),
        changed=_flat(_own_changes(finished.study, run)) | _flat(arm_settings),
        top1={test: interval(by_seed.values()) for test, by_seed in seeds.items()},
        gain={} if reference in comparison.real else _gains(finished, comparison, reference, tests),
        shots=shot_accuracies(finished.results[run], finished.plans[run].real_counts, arm, tests),
        seeds=seeds,
    )


def shot_accuracies(
    results: Results, real_counts: dict[str, int], arm: str, tests: list[str]
) -> dict[str, dict[str, Interval]]:
    """Compute many-, medium- and few-shot accuracy by test set; {} where all classes have equally many real images."""
    groups = frequency_groups.groups(real_counts)
    accuracies = {
        test: {name: frequency_groups.accuracies(results, arm, test, ids) for name, ids in groups.items()}
        for test in tests
        if groups
    }
    return {
        test: {name: interval(by_seed.values()) for name, by_seed in by_group.items() if by_seed}
        for test, by_group in accuracies.items()
    }


def _gains(finished: FinishedRuns, comparison: Comparison, reference: str, tests: list[str]) -> dict[str, Gain]:
    members = {name: member(finished.study, name) for name in comparison.references}
    candidates = [baseline.reference for baseline in baselines(comparison, members, members[reference])]
    gains = {}
    for test in tests if candidates else ():
        means = {name: float(np.mean(list(finished.accuracies(name, test).values()))) for name in candidates}
        against = max(candidates, key=lambda name: means[name])
        paired = interval(_paired(finished, reference, against, test))
        gains[test] = Gain(**paired.model_dump(), against=against)
    return gains


def _differences(finished: FinishedRuns, first: str, second: str, tests: list[str]) -> dict[str, Interval]:
    return {test: interval(_paired(finished, first, second, test)) for test in tests}


def _paired(finished: FinishedRuns, first: str, second: str, test: str) -> list[float]:
    a, b = finished.accuracies(first, test), finished.accuracies(second, test)
    return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def interval(values: Iterable[float]) -> Interval:
    """Estimate a mean with both of its intervals. Raises ValueError for no values."""
    sample = list(values)
    mean = statistics.mean_with_interval(sample)
    return Interval(
        mean=mean.mean,
        std=mean.std,
        n=mean.n,
        bootstrap=statistics.bootstrap(sample),
        t=None if mean.low is None or mean.high is None else (mean.low, mean.high),
    )
