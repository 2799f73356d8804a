"""All that the report tells, read from the store; what is not there yet is left out."""

import json
from dataclasses import dataclass

from synaug.config import Config
from synaug.data import layout
from synaug.data.index import Index
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.evaluation.diagnostics import schema
from synaug.evaluation.diagnostics.schema import Findings
from synaug.prompts.schema import ClassPrompts
from synaug.run.job import open_run
from synaug.run.plan import Plan
from synaug.run.results import Results, load_results
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
    timings: dict[str, dict[str, dict]]  # of stages with a rate to show, by unit
    trainings: dict[tuple[str, int], dict]  # done.json by arm and seed
    joined: dict[str, Results]
    findings: Findings
    outdated_findings: bool  # of another index than there is now

    @property
    def embedded(self) -> bool:
        return self.config.images.profile == "embedded"

    @property
    def names(self) -> dict[str, str]:
        """Class id to a name that tells it from the others."""
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
    """Raises DataError when a run to join was not planned or is of other classes."""
    joined = {}
    for name in join:
        its_config, its_plan = open_run(store, name)
        if [c.id for c in its_plan.classes] != [c.id for c in plan.classes]:
            raise DataError(f"run {name!r} has other classes than {run!r}; only runs of the same classes can be joined")
        joined[name] = load_results(store, name, its_config)
    written = set(store.list(layout.run_folder(run)))
    prompts = [layout.prompts(run, entry.id) for entry in plan.classes]
    trainings = {
        (arm, seed): layout.training(run, arm, seed, "done.json") for arm in config.arms for seed in config.seeds
    }
    found = schema.load(store, run)
    of = {one.inputs.synthetic for one in (found.fidelity, *(found.coverage.views if found.coverage else [])) if one}
    return ReportData(
        store=store,
        run=run,
        config=config,
        plan=plan,
        results=load_results(store, run, config),
        prompts=[ClassPrompts.model_validate_json(store.get(key)) for key in prompts if key in written],
        index=Index.model_validate_json(store.get(layout.index(run))) if layout.index(run) in written else None,
        timings={stage: _timings(store, run, stage, written) for stage, row in STAGES.items() if row.rated},
        trainings={unit: json.loads(store.get(key)) for unit, key in trainings.items() if key in written},
        joined=joined,
        findings=found,
        outdated_findings=bool(of) and of != {schema.digest(store, layout.index(run))},
    )


def _timings(store: Store, run: str, stage: str, written: set[str]) -> dict[str, dict]:
    prefix = layout.timing(run, stage, "").removesuffix(".json")
    keys = sorted(key for key in written if key.startswith(prefix))
    return {key.removeprefix(prefix).removesuffix(".json"): json.loads(store.get(key)) for key in keys}
