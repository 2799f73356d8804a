"""Results of the evaluate stage: the JSON file of one trained model, and all those of a run together."""

from pydantic import Field

from synaug.config.settings import FrozenModel


class TestResult(FrozenModel):
    """Accuracies are parts of 1. Classes of which the set holds no image are not listed."""

    __test__ = False  # not a pytest class

    split: str
    data: str = Field(description="SHA-256 of the split's list: another import is another test set")
    domain: str = Field(description="in or out")
    subset: str | None = None
    n: int = Field(description="Images with a label among the run's classes")
    unknown: int = Field(0, description="Images left out: of no class of the run, or outside the subset")
    top1: float
    top5: float
    per_class: dict[str, float] = Field(description="Top-1 by class id")
    per_class_n: dict[str, int]


class Evaluation(FrozenModel):
    """runs/{run}/evaluate/{arm}/{seed}.json"""

    arm: str
    seed: int
    kind: str
    scale: int | None = Field(description="Of the synthetic pool; null without one")
    model: str
    trained: str = Field(description="SHA-256 of the training's done.json")
    tests: dict[str, TestResult]


class Results:
    """Evaluations of a run, by arm and seed; Completion.results gathers those that are current."""

    def __init__(self, evaluations: list[Evaluation]):
        self.evaluations = {(e.arm, e.seed): e for e in evaluations}
        self.arms = list(dict.fromkeys(e.arm for e in evaluations))
        self.tests = list(dict.fromkeys(name for e in evaluations for name in e.tests))

    def first(self, arm: str) -> Evaluation:
        """Return an arm's evaluation of its first seed."""
        return next(e for e in self.evaluations.values() if e.arm == arm)

    def accuracies(self, arm: str, test: str, measure: str = "top1") -> dict[int, float]:
        """Return {training seed: top1 or top5} of an arm on a test set."""
        return {seed: getattr(result, measure) for seed, result in self._of(arm, test).items()}

    def class_accuracies(self, arm: str, test: str, class_id: str) -> dict[int, float]:
        """Return {training seed: top-1} of an arm on the images of one class, without the seeds that have none."""
        by_seed = {seed: result.per_class for seed, result in self._of(arm, test).items()}
        return {seed: per_class[class_id] for seed, per_class in by_seed.items() if class_id in per_class}

    def _of(self, arm: str, test: str) -> dict[int, TestResult]:
        return {seed: e.tests[test] for (name, seed), e in self.evaluations.items() if name == arm and test in e.tests}

    def test(self, name: str) -> TestResult:
        """Return some result of a test set, for what all of them share."""
        return next(e.tests[name] for e in self.evaluations.values() if name in e.tests)
