"""Which arms may be compared: the rules of docs/design.md (Arms), checked before anything is spent."""

from dataclasses import dataclass
from typing import Any

from synaug.config.arms import differences, resolve_arm
from synaug.errors import UsageError
from synaug.evaluation.statistics import REAL_KINDS
from synaug.reporting.study.definition import Comparison, Study
from synaug.reporting.study.outcome import split_arm_ref

TREATMENT = ("synthetic_weight", "synthetic_share")  # settings that only a mixed arm has a use for
PER_MODEL = (  # what is tuned for a model: equal within one, free between two
    "model",
    "model_kwargs",
    "pretrained",
    "optimizer",
    "lr",
    "weight_decay",
    "momentum",
    "warmup_steps",
    "ema",
    "amp",
    "channels_last",
    "compile",
)


@dataclass(frozen=True)
class Member:
    """One arm of one run, as far as it decides what may be compared."""

    reference: str
    kind: str
    settings: dict[str, Any]  # settings.steps is the full length: design.md gives real-half the half of it
    seeds: list[int]
    real: dict[str, Any]  # what the real images are
    tests: dict[str, Any]  # what each test set is

    @property
    def model(self) -> str:
        """The network and its arguments."""
        return f"{self.settings['model']} {self.settings['model_kwargs']}"


def member(study: Study, reference: str) -> Member:
    """Describe an arm of a study, named RUN/ARM. Raises UsageError for settings that cannot be meant."""
    run, name = split_arm_ref(reference)
    config = study.configs[run]
    arm = resolve_arm(config, name)
    cut = config.real.per_class is not None or config.real.largest_to_smallest is not None
    real = {"classes": config.classes, "real": config.real.model_dump(), "seed": config.seed if cut else None}
    settings = arm.settings.model_dump(mode="json") | {"window": arm.window}
    tests = {name: test.model_dump(exclude={"note"}) for name, test in config.tests.items()}
    return Member(reference, arm.kind, settings, list(config.seeds), real, tests)


def check_comparable(study: Study) -> None:
    """Refuse a study whose arms cannot be compared.

    Raises UsageError with the difference for the first comparison that holds such arms.
    """
    for name, comparison in study.comparisons.items():
        members = {reference: member(study, reference) for reference in comparison.references}
        for reference in comparison.real:
            if members[reference].kind not in REAL_KINDS:
                kind = members[reference].kind
                raise UsageError(
                    f"comparison {name}: {reference} under `real` is of kind {kind}; allowed are real and real-half"
                )
        ordered = list(members.values())
        for other in ordered[1:]:
            _refuse(name, ordered[0], other, _other_tests(comparison, ordered[0], other))
        table = [members[reference] for reference in [*comparison.real, *comparison.arms]]
        for n, other in enumerate(table[1:], start=1):
            _refuse(name, table[0], other, _unlike(table[0], other, apart=(*TREATMENT, *PER_MODEL)))
            if same := next((earlier for earlier in table[:n] if earlier.model == other.model), None):
                _refuse(name, same, other, _unlike(same, other, apart=TREATMENT))
        for reference in comparison.arms if comparison.real else ():
            if not baselines(comparison, members, members[reference]):
                _refuse_without_baseline(name, comparison, members, members[reference])
        for minuend, subtrahend in comparison.differences.values():
            a, b = members[minuend], members[subtrahend]
            _refuse(
                name,
                a,
                b,
                _unlike(a, b, apart=TREATMENT) + [f"real images, {line}" for line in differences(a.real, b.real)],
            )


def baselines(comparison: Comparison, members: dict[str, Member], arm: Member) -> list[Member]:
    """List the real-only arms of an arm's model on its real images."""
    real = [members[reference] for reference in comparison.real]
    return [baseline for baseline in real if baseline.model == arm.model and baseline.real == arm.real]


def _refuse_without_baseline(name: str, comparison: Comparison, members: dict[str, Member], arm: Member) -> None:
    other = members[comparison.real[0]]
    lines = differences({"real": other.real, "model": other.model}, {"real": arm.real, "model": arm.model})
    raise UsageError(
        f"comparison {name}: {arm.reference} has no real-only arm of its model and real images under `real`; "
        f"{other.reference} differs in {'; '.join(lines)}; add a real and a real-half arm to its run"
    )


def _other_tests(comparison: Comparison, a: Member, b: Member) -> list[str]:
    """How the test sets differ that the comparison shows."""
    wanted = comparison.tests or sorted({*a.tests, *b.tests})
    return differences(
        {f"tests.{name}": a.tests.get(name) for name in wanted}, {f"tests.{name}": b.tests.get(name) for name in wanted}
    )


def _unlike(a: Member, b: Member, *, apart: tuple[str, ...]) -> list[str]:
    def settings(arm: Member) -> dict[str, Any]:
        return {key: value for key, value in arm.settings.items() if key not in apart}

    lines = differences(settings(a), settings(b))
    if a.seeds != b.seeds:
        lines.append(f"seeds: {a.seeds} -> {b.seeds}")
    return lines


def _refuse(name: str, a: Member, b: Member, lines: list[str]) -> None:
    if lines:
        raise UsageError(
            f"comparison {name}: {a.reference} and {b.reference} cannot be compared: {'; '.join(lines)}; "
            "give both the same, or compare other arms"
        )
