"""The page: data, figures and sheets put into the template. Equal data give equal bytes."""

from dataclasses import dataclass

import jinja2

from synaug.config.load import dump_config
from synaug.evaluation import frequency_groups, statistics
from synaug.evaluation.statistics import MeanWithInterval, mean_with_interval, paired
from synaug.reporting.batch_norm_figures import branch_figures
from synaug.reporting.formatting import change, count, interval, listed, points, signed, verdict
from synaug.reporting.report import figures, narrative, samples
from synaug.reporting.report.data import ReportData
from synaug.run.progress import duration
from synaug.run.results import Results
from synaug.run.stages import STAGES


@dataclass(frozen=True)
class AccuracyRow:
    """An arm; its lists are in the order of results.tests."""

    arm: str
    kind: str
    seeds: int
    top1: list[MeanWithInterval | None]
    gains: list[MeanWithInterval | None]


@dataclass(frozen=True)
class ClassRow:
    name: str
    images: int
    baseline: MeanWithInterval
    accuracies: list[MeanWithInterval]  # in the order of the table's arms
    gains: list[MeanWithInterval | None]


@dataclass(frozen=True)
class ClassTable:
    """Accuracy by class on one test set."""

    test: str
    baseline: str
    arms: list[str]
    rows: list[ClassRow]


@dataclass(frozen=True)
class ShotGroup:
    """The classes with many, medium or few real images."""

    name: str
    classes: int
    images: frequency_groups.CountRange


@dataclass(frozen=True)
class ShotRow:
    arm: str
    accuracies: list[MeanWithInterval | None]  # in the order of the groups


@dataclass(frozen=True)
class ShotTable:
    test: str
    groups: list[ShotGroup]
    rows: list[ShotRow]


@dataclass(frozen=True)
class JoinedRow:
    """An arm of another run; its lists are in the order of this run's results.tests."""

    run: str
    arm: str
    top1: list[MeanWithInterval | None]
    differences: list[MeanWithInterval | None]  # to this run's arm of that name


@dataclass(frozen=True)
class TrainingRow:
    """The trainings of an arm."""

    arm: str
    kind: str
    seeds: int
    steps: int
    passes: dict[str, float]  # over the images of a source
    images: dict[str, int]  # of a source
    rate: float  # images a second, the mean of all seeds
    seconds: float  # of all seeds


@dataclass(frozen=True)
class StageTime:
    """The work of a stage, over all workers."""

    stage: str
    tasks: int
    seconds: float
    unit: str | None
    rate: float | None  # units a second of one worker
    phases: dict[str, float]  # seconds


def render(data: ReportData) -> str:
    """Write the page as HTML, in one piece without references to anything outside."""
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
    largest_arms = narrative.largest_arms(data)
    return environment.get_template("page.html").render(
        data=data,
        narrative=narrative,
        accuracy_rows=_accuracy_rows(data),
        scale_figures=figures.scale_figures(data),
        gain_figures=figures.gain_figures(data),
        class_figures=figures.class_figures(data, largest_arms),
        class_table=_class_table(data, largest_arms),
        class_sheets=samples.class_sheets(data),
        branch_figures=branch_figures(data.findings.branches, 100),
        test_strips=samples.test_strips(data),
        joined_rows=_joined_rows(data),
        training_rows=_training_rows(data),
        stage_times=_stage_times(data),
        versions=_versions(data),
        shot_tables=_shot_tables(data),
        thirds=frequency_groups.relative(data.plan.real_counts),
        configuration=dump_config(data.config),
        method=statistics.METHOD,
    )


def _mean(values: dict[int, float]) -> MeanWithInterval | None:
    return mean_with_interval(values.values()) if values else None


def _top1(results: Results, arm: str, tests: list[str]) -> list[MeanWithInterval | None]:
    return [_mean(results.accuracies(arm, test)) for test in tests]


def _accuracy_rows(data: ReportData) -> list[AccuracyRow]:
    results = data.results
    return [
        AccuracyRow(
            arm=arm,
            kind=results.first(arm).kind,
            seeds=sum(name == arm for name, _ in results.evaluations),
            top1=_top1(results, arm, results.tests),
            gains=[statistics.gain(results, arm, test) for test in results.tests],
        )
        for arm in results.arms
    ]


def _class_table(data: ReportData, arms: list[str]) -> ClassTable | None:
    """Compare real-only and the arms by class, on the first test set in domain."""
    results = data.results
    test = next((name for name in results.tests if results.test(name).domain == "in"), None)
    baseline = statistics.better_real(results, arms[0], test) if test and arms else None
    if test is None or baseline is None:
        return None
    rows = []
    for class_id, images in results.test(test).per_class_n.items():
        of_baseline, *of_arms = (
            mean_with_interval(results.class_accuracies(arm, test, class_id).values()) for arm in (baseline, *arms)
        )
        gains = [statistics.class_gain(results, arm, test, class_id) for arm in arms]
        rows.append(ClassRow(data.names[class_id], images, of_baseline, of_arms, gains))
    return ClassTable(test, baseline, arms, rows)


def _shot_tables(data: ReportData) -> list[ShotTable]:
    """Compare arms on the classes with many, medium and few real images; none where all have equally many."""
    results, counts = data.results, data.plan.real_counts
    groups, ranges = frequency_groups.groups(counts), frequency_groups.count_ranges(counts)
    heads = [ShotGroup(name, len(ids), ranges[name]) for name, ids in groups.items()]
    tables = []
    for test in results.tests if groups else []:
        rows = [
            ShotRow(arm, [_mean(frequency_groups.accuracies(results, arm, test, ids)) for ids in groups.values()])
            for arm in results.arms
        ]
        tables.append(ShotTable(test, heads, rows))
    return tables


def _joined_rows(data: ReportData) -> list[JoinedRow]:
    tests = data.results.tests
    return [
        JoinedRow(
            run=run,
            arm=arm,
            top1=_top1(other, arm, tests),
            differences=[paired(other.accuracies(arm, test), data.results.accuracies(arm, test)) for test in tests],
        )
        for run, other in data.joined.items()
        for arm in other.arms
    ]


def _training_rows(data: ReportData) -> list[TrainingRow]:
    rows = []
    for arm in data.config.arms:
        trainings = [done for (name, _), done in data.trainings.items() if name == arm]
        if trainings:
            first = trainings[0]
            rows.append(
                TrainingRow(
                    arm=arm,
                    kind=first["kind"],
                    seeds=len(trainings),
                    steps=first["steps"],
                    passes=first["passes"],
                    images=first["images"],
                    rate=sum(done["images_per_second"] for done in trainings) / len(trainings),
                    seconds=sum(done["seconds"] for done in trainings),
                )
            )
    return rows


def _stage_times(data: ReportData) -> list[StageTime]:
    rows = []
    for stage, by_unit in data.timings.items():
        timings = list(by_unit.values())
        if not timings:
            continue
        rates = [timing["rate"] for timing in timings if timing.get("rate")]
        phases: dict[str, float] = {}
        for timing in timings:
            for name, seconds in timing.get("phases", {}).items():
                phases[name] = phases.get(name, 0.0) + seconds
        rows.append(
            StageTime(
                stage=stage,
                tasks=len(timings),
                seconds=sum(timing["seconds"] for timing in timings),
                unit=STAGES[stage].rated,
                rate=sum(rates) / len(rates) if rates else None,
                phases=phases,
            )
        )
    return rows


def _versions(data: ReportData) -> dict[str, str]:
    versions = dict(data.plan.versions)
    for done in data.trainings.values():
        versions |= done.get("versions", {})
    return dict(sorted(versions.items()))
