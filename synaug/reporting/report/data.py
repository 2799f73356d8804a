"""All that the report shows, read from the store; what is not there yet is left out."""

import json
from dataclasses import dataclass
from typing import Any

from synaug.config import Config
from synaug.data import layout
from synaug.data.index import Index
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.evaluation.diagnostics import schema
from synaug.evaluation.diagnostics.schema import Findings
from synaug.prompts.schema import ClassPrompts
from synaug.run.completion import Completion
from synaug.run.job import open_run
from synaug.run.plan import Plan
from synaug.run.results import Results
from synaug.run.stages import STAGES


@dataclass(frozen=True, kw_only=True)
class ReportData:
    store: Store
    run: str
    config: Config
    plan: Plan
    results: Results
    prompts: list[ClassPrompts]
    index: Index | None
    timings: dict[str, dict[str, dict[str, Any]]]  # of stages with a rate to show, by unit
    trainings: dict[tuple[str, int], dict[str, Any]]  # done.json by arm and seed
    joined: dict[str, Results]  # of other runs, by name
    findings: Findings
    outdated_findings: bool  # of another index than there is now

    @property
    def embedded(self) -> bool:
        """Tell whether the images come from the embedded generator."""
        return self.config.images.profile == "embedded"

    @property
    def names(self) -> dict[str, str]:
        """Name each class id so that it can be told from the others."""
        names = [entry.name for entry in self.plan.classes]
        return {
            entry.id: entry.name if names.count(entry.name) == 1 else f"{entry.name} ({entry.id})"
            for entry in self.plan.classes
        }

    @property
    def real_images(self) -> int:
        return sum(self.plan.real_counts.values())

    @property
    def synthetic_images(self) -> int:
        return sum(part.images for part in self.index.parts) if self.index else 0


def gather(store: Store, run: str, config: Config, plan: Plan, *, join: tuple[str, ...] = ()) -> ReportData:
    """Read all that the report of a run shows; join: other runs whose results are shown beside.

    Raises DataError when a run to join was not planned or is of other classes.
    """
    written = set(store.list(layout.run_folder(run)))
    prompts = [layout.prompts(run, entry.id) for entry in plan.classes]
    trainings = {
        (arm, seed): layout.training(run, arm, seed, "done.json") for arm in config.arms for seed in config.seeds
    }
    findings = schema.load(store, run)
    return ReportData(
        store=store,
        run=run,
        config=config,
        plan=plan,
        results=Completion(store, run, config, plan).results(),
        prompts=[ClassPrompts.model_validate_json(store.get(key)) for key in prompts if key in written],
        index=Index.model_validate_json(store.get(layout.index(run))) if layout.index(run) in written else None,
        timings={stage: _timings(store, run, stage, written) for stage, row in STAGES.items() if row.rated},
        trainings={unit: json.loads(store.get(key)) for unit, key in trainings.items() if key in written},
        joined={other: _joined(store, other, run, plan) for other in join},
        findings=findings,
        outdated_findings=_outdated(store, run, findings),
    )


def _joined(store: Store, other: str, run: str, plan: Plan) -> Results:
    other_config, other_plan = open_run(store, other)
    if [entry.id for entry in other_plan.classes] != [entry.id for entry in plan.classes]:
        raise DataError(f"run {other!r} has other classes than {run!r}; only runs of the same classes can be joined")
    return Completion(store, other, other_config, other_plan).results()


def _outdated(store: Store, run: str, findings: Findings) -> bool:
    views = findings.coverage.views if findings.coverage else []
    synthetic = {view.inputs.synthetic for view in views}
    if findings.fidelity:
        synthetic.add(findings.fidelity.inputs.synthetic)
    return bool(synthetic) and synthetic != {schema.digest(store, layout.index(run))}


def _timings(store: Store, run: str, stage: str, written: set[str]) -> dict[str, dict[str, Any]]:
    prefix = layout.timing(run, stage, "").removesuffix(".json")
    keys = sorted(key for key in written if key.startswith(prefix))
    return {key.removeprefix(prefix).removesuffix(".json"): json.loads(store.get(key)) for key in keys}
