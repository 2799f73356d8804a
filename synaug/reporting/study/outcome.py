"""What a study found: docs/study/outcome.json, from which its tables, figures and page are drawn."""

from pydantic import Field

from synaug.config.settings import FrozenModel


def split_arm_ref(reference: str) -> tuple[str, str]:
    """Split RUN/ARM, as a study's files and its outcome name an arm; the arm is empty where there is none."""
    run, _, arm = reference.partition("/")
    return run, arm


class Interval(FrozenModel):
    """Of a mean over training seeds; all in parts of 1. bootstrap and t: [low, high], null without an interval."""

    mean: float
    std: float | None
    n: int
    bootstrap: tuple[float, float] | None
    t: tuple[float, float] | None

    @property
    def low(self) -> float | None:
        """The bootstrap interval's, which is the one that is printed and drawn."""
        return self.bootstrap and self.bootstrap[0]

    @property
    def high(self) -> float | None:
        return self.bootstrap and self.bootstrap[1]

    @property
    def shown(self) -> bool:
        """Whether both intervals exclude 0."""
        return all(ends is not None and (ends[0] > 0 or ends[1] < 0) for ends in (self.bootstrap, self.t))


class Gain(Interval):
    """Paired by training seed, against the better real-only arm on that test set."""

    against: str = Field(description="RUN/ARM")


class OutcomeRow(FrozenModel):
    """An arm of a comparison's table."""

    arm: str = Field(description="RUN/ARM")
    kind: str
    scale: int | None
    model: str
    parameters: int | None = Field(description="Of the model")
    changed: dict[str, str] = Field(description="What tells its run and arm from the base, by field")
    top1: dict[str, Interval] = Field(description="By test set")
    gain: dict[str, Gain] = Field(description="By test set; empty for real-only arms")
    shots: dict[str, dict[str, Interval]] = Field(
        {}, description="Test set -> many, medium, few -> accuracy, where the real counts differ"
    )
    seeds: dict[str, dict[int, float]] = Field(description="Test set -> training seed -> top-1")


class Difference(FrozenModel):
    label: str
    first: str
    second: str
    tests: dict[str, Interval] = Field(description="first minus second, by test set")


class Table(FrozenModel):
    """One comparison."""

    name: str
    title: str
    text: str
    figure: str | None
    tests: dict[str, str] = Field(description="Test set -> in or out (of domain)")
    rows: list[OutcomeRow]
    differences: list[Difference]


class RunOutcome(FrozenModel):
    digest: str
    real_images: int
    synthetic_images: int
    changed: dict[str, str] = Field(description="What tells it from the base, by field")
    seconds: dict[str, float] = Field(description="Of work, by stage, over all workers")


class StudyOutcome(FrozenModel):
    """All that is drawn of a study; `hours` is the sum of its runs' seconds of work."""

    titles: list[str] = Field(description="Of the study's files")
    texts: list[str]
    files: list[str]
    machine: str
    versions: dict[str, str]
    hours: float
    runs: dict[str, RunOutcome]
    tables: list[Table]
    diagnostics: dict[str, dict] = Field({}, description="Run -> what `synaug diagnose` wrote, by name")
