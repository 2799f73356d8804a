"""The page: facts, figures and sheets put into the template. Equal facts give equal bytes."""

import jinja2

from synaug.config.load import dump_config
from synaug.evaluation import frequency_groups, statistics
from synaug.evaluation.statistics import MeanWithInterval, mean_with_interval, paired
from synaug.reporting.batch_norm_figures import branch_figures
from synaug.reporting.formatting import change, count, duration, interval, listed, points, signed, verdict
from synaug.reporting.report import figures, narrative, samples
from synaug.reporting.report.data import ReportData
from synaug.run.results import Results
from synaug.run.stages import STAGES


def render(facts: ReportData) -> str:
    """HTML, in one piece without references to anything outside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("synaug.reporting", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "points": points,
        "signed": signed,
        "interval": interval,
        "change": change,
        "duration": duration,
        "listed": listed,
        "verdict": verdict,
    }
    environment.globals |= {"count": count}
    top = narrative.largest_arms(facts)
    return environment.get_template("page.html").render(
        facts=facts,
        story=narrative,
        rows=_rows(facts),
        scale_figures=figures.scale_figures(facts),
        gain_figures=figures.gain_figures(facts),
        class_figures=figures.class_figures(facts, top),
        class_table=_class_table(facts, top),
        sheets=samples.class_sheets(facts),
        branch_figures=branch_figures(facts.findings.branches, 100),
        strips=samples.test_strips(facts),
        joined=_joined(facts),
        trainings=_trainings(facts),
        times=_times(facts),
        versions=_versions(facts),
        shot_tables=_shot_tables(facts),
        thirds=frequency_groups.relative(facts.plan.real_counts),
        configuration=dump_config(facts.config),
        method=statistics.METHOD,
    )


def _cell(results: Results, arm: str, test: str, measure: str) -> MeanWithInterval | None:
    values = results.accuracies(arm, test, measure)
    return mean_with_interval(values.values()) if values else None


def _rows(facts: ReportData) -> list[dict]:
    """An arm a row: accuracy and gain on every test set, in the order of results.tests."""
    results = facts.results
    return [
        {
            "arm": arm,
            "kind": results.first(arm).kind,
            "seeds": sum(name == arm for name, _ in results.evaluations),
            "top1": [_cell(results, arm, test, "top1") for test in results.tests],
            "top5": [_cell(results, arm, test, "top5") for test in results.tests],
            "gains": [statistics.gain(results, arm, test) for test in results.tests],
        }
        for arm in results.arms
    ]


def _class_table(facts: ReportData, arms: list[str]) -> dict | None:
    """Accuracy by class on the first test set in domain: real-only and the arms, with the gain of each."""
    results = facts.results
    test = next((name for name in results.tests if results.test(name).domain == "in"), None)
    baseline = statistics.better_real(results, arms[0], test) if test and arms else None
    if baseline is None:
        return None
    rows = []
    for class_id, n in results.test(test).per_class_n.items():
        cells = [
            mean_with_interval(results.class_accuracies(arm, test, class_id).values()) for arm in (baseline, *arms)
        ]
        gains = [statistics.class_gain(results, arm, test, class_id) for arm in arms]
        rows.append({"name": facts.names[class_id], "id": class_id, "n": n, "cells": cells, "gains": gains})
    return {"test": test, "baseline": baseline, "arms": arms, "rows": rows}


def _shot_tables(facts: ReportData) -> list[dict]:
    """Accuracy on the classes with many, medium and few real images, a table a test set; none where all have equally many."""
    results, counts = facts.results, facts.plan.real_counts
    groups, spans = frequency_groups.groups(counts), frequency_groups.spans(counts)
    heads = [
        {"name": name, "classes": len(ids), "fewest": spans[name][0], "most": spans[name][1]}
        for name, ids in groups.items()
    ]
    tables = []
    for test in results.tests if groups else []:
        rows = []
        for arm in results.arms:
            found = [frequency_groups.accuracies(results, arm, test, ids) for ids in groups.values()]
            rows.append(
                {"arm": arm, "cells": [mean_with_interval(values.values()) if values else None for values in found]}
            )
        tables.append({"test": test, "heads": heads, "rows": rows})
    return tables


def _joined(facts: ReportData) -> list[dict]:
    """A row for each arm of a joined run: its accuracies, and the paired difference to this run's arm of that name."""
    return [
        {
            "run": run,
            "arm": arm,
            "top1": [_cell(other, arm, test, "top1") for test in facts.results.tests],
            "difference": [
                paired(other.accuracies(arm, test), facts.results.accuracies(arm, test)) for test in facts.results.tests
            ],
        }
        for run, other in facts.joined.items()
        for arm in other.arms
    ]


def _trainings(facts: ReportData) -> list[dict]:
    rows = []
    for arm in facts.config.arms:
        done = [one for (name, _), one in facts.trainings.items() if name == arm]
        if done:
            rate = sum(one["images_per_second"] for one in done) / len(done)
            rows.append(
                done[0] | {"arm": arm, "seeds": len(done), "seconds": sum(one["seconds"] for one in done), "rate": rate}
            )
    return rows


def _times(facts: ReportData) -> list[dict]:
    rows = []
    for stage, timings in facts.timings.items():
        units = list(timings.values())
        if units:
            rates = [one["rate"] for one in units if one.get("rate")]
            phases: dict[str, float] = {}
            for one in units:
                for name, seconds in one.get("phases", {}).items():
                    phases[name] = phases.get(name, 0.0) + seconds
            rows.append(
                {
                    "stage": stage,
                    "units": len(units),
                    "seconds": sum(one["seconds"] for one in units),
                    "unit": STAGES[stage].rated,
                    "rate": sum(rates) / len(rates) if rates else None,
                    "phases": phases,
                }
            )
    return rows


def _versions(facts: ReportData) -> dict[str, str]:
    found = dict(facts.plan.versions)
    for done in facts.trainings.values():
        found |= done.get("versions", {})
    return dict(sorted(found.items()))
