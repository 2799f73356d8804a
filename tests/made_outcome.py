"""A study's outcome for tests. INVENTED FIGURES: nothing here was measured."""

from functools import cache

import numpy as np

from synaug.reporting.study import compute
from synaug.reporting.study.outcome import Difference, Gain, Interval, OutcomeRow, RunOutcome, StudyOutcome, Table

TESTS = {"test": "in", "contexts": "out", "noise": "out", "sketch": "out"}
MEANS = {  # by arm: test, contexts, noise, sketch
    "main/real": (0.81, 0.13, 0.36, 0.15),
    "main/real-half": (0.80, 0.13, 0.43, 0.15),
    "main/naive-1x": (0.81, 0.31, 0.59, 0.33),
    "main/naive-3x": (0.83, 0.42, 0.60, 0.50),
    "main/naive-6x": (0.85, 0.47, 0.61, 0.54),
    "again/naive-1x": (0.812, 0.32, 0.57, 0.34),
    "again/naive-3x": (0.829, 0.43, 0.61, 0.49),
    "again/naive-6x": (0.847, 0.45, 0.60, 0.52),
    "main/auxbn-1x": (0.80, 0.22, 0.50, 0.21),
    "main/auxbn-3x": (0.808, 0.25, 0.54, 0.27),
    "main/auxbn-6x": (0.815, 0.28, 0.57, 0.30),
    "main/oracle-1x": (0.82, 0.13, 0.36, 0.16),
    "main/oracle-3x": (0.835, 0.13, 0.35, 0.16),
    "main/oracle-6x": (0.845, 0.13, 0.34, 0.16),
}
REAL = ("main/real", "main/real-half")


def accuracies(arm: str, test: str, *, seeds: int = 10) -> dict[int, float]:
    """Around the arm's mean, the same at every call; the means of a test are drawn with one spread."""
    at = list(TESTS).index(test)
    noise = np.random.default_rng([at, *arm.encode()]).normal(0, (0.004, 0.02, 0.04, 0.03)[at], seeds)
    return {seed: float(MEANS[arm][at] + one) for seed, one in enumerate(noise - noise.mean())}


@cache  # the bootstrap takes its time
def interval(*values: float) -> Interval:
    return compute.interval(values)


def row(
    arm: str, values: dict[str, dict[int, float]], real: dict[str, dict[str, dict[int, float]]], **more
) -> OutcomeRow:
    """real: the real-only arms' values by arm and test set; a row that is one of them has no gain."""
    name = arm.partition("/")[2]
    kind = name if name.startswith("real") else name.partition("-")[0]
    gain = {}
    for test, own in values.items() if real and arm not in real else ():
        against = max(real, key=lambda one: np.mean(list(real[one][test].values())))
        found = interval(*(own[seed] - real[against][test][seed] for seed in own))
        gain[test] = Gain(**found.model_dump(), against=against)
    return OutcomeRow(
        arm=arm,
        kind=kind,
        scale=int(name[-2]) if name.endswith("x") else None,
        model="resnet18",
        parameters=None,
        changed={},
        top1={test: interval(*own.values()) for test, own in values.items()},
        gain=gain,
        seeds=values,
        **more,
    )


def table(
    arms=tuple(MEANS), *, real=REAL, pairs=None, name="scale", figure="scale", tests=tuple(TESTS), seeds=10
) -> Table:
    paired = [arm for pair in (pairs or {}).values() for arm in pair]
    values = {
        arm: {test: accuracies(arm, test, seeds=seeds) for test in tests}
        for arm in dict.fromkeys([*arms, *real, *paired])
    }

    def difference(first: str, second: str, test: str) -> Interval:
        return interval(*(top1 - values[second][test][seed] for seed, top1 in values[first][test].items()))

    differences = [
        Difference(
            label=label,
            first=first,
            second=second,
            tests={test: difference(first, second, test) for test in tests},
        )
        for label, (first, second) in (pairs or {}).items()
    ]
    return Table(
        name=name,
        title=f"Invented: {name}",
        text="Does it grow?",
        figure=figure,
        tests={test: TESTS[test] for test in tests},
        rows=[row(arm, values[arm], {one: values[one] for one in real}) for arm in arms],
        differences=differences,
    )


PAIRS = {
    "3x over 1x": ("main/naive-3x", "main/naive-1x"),
    "6x over 3x": ("main/naive-6x", "main/naive-3x"),
    "AuxBN over naive, 6x": ("main/auxbn-6x", "main/naive-6x"),
    "6x over the oracle": ("main/naive-6x", "main/oracle-6x"),
    "second generation seed over the first, 6x": ("again/naive-6x", "main/naive-6x"),
}


def outcome(*tables: Table, **changes) -> StudyOutcome:
    facts = {
        "digest": "0123456789abcdef",
        "real_images": 500,
        "synthetic_images": 3000,
        "seconds": {"train": 4000.0, "images": 900.0},
    }
    given = {
        "titles": ["Accuracy against scale"],
        "texts": ["Invented figures."],
        "files": ["headline.yaml"],
        "machine": "2 cores of no machine",
        "versions": {"torch": "2.0", "timm": "1.0"},
        "hours": 2.72,
        "runs": {"main": RunOutcome(changed={}, **facts), "again": RunOutcome(changed={"seed": "1"}, **facts)},
        "tables": list(tables) or [table(pairs=PAIRS)],
    }
    return StudyOutcome(**given | changes)
