"""Findings as runs/{run}/diagnostics/{fidelity,coverage,branches}.json hold them, with digests of their inputs."""

import hashlib
from statistics import fmean
from typing import TypeVar

from pydantic import Field

from synaug.config.settings import FrozenModel
from synaug.data import layout
from synaug.data.store import Store

IMAGES = 200  # of each class and set that are looked at by default
ALL = "all"  # all prompt kinds, as the run mixes them
REAL = "real"  # real against other real images: what a perfect generator would reach

Finding = TypeVar("Finding", bound=FrozenModel)


class FidelityInputs(FrozenModel):
    classifier: str = Field(description="RUN/ARM/SEED")
    trained: str = Field(description="SHA-256 of its training's done.json")
    synthetic: str = Field(description="SHA-256 of the run's index")
    scale: int
    images_per_class: int = Field(description="At most so many were drawn")
    tests: dict[str, str] = Field(description="SHA-256 of the list of each test split in domain")


class Accuracy(FrozenModel):
    top1: float = Field(description="Part of 1")
    n: int


class Fidelity(FrozenModel):
    """Accuracy on synthetic images of a classifier that was trained on real ones."""

    inputs: FidelityInputs
    kinds: dict[str, Accuracy] = Field(description="By prompt kind; `all` first")
    classes: dict[str, Accuracy] = Field(description="Of all kinds, by class id")
    real: dict[str, Accuracy] = Field(description="On real photos that it has not seen, by test in domain")


class CoverageInputs(FrozenModel):
    features: str = Field(description="clip, classifier or timm:NAME")
    model: str = Field(description="The network's name and revision or digest")
    reference: str = Field(description="Split of the real images")
    real: str = Field(description="SHA-256 of that split's list; for the training images the plan's digest, too")
    synthetic: str = Field(description="SHA-256 of the run's index")
    scale: int
    images_per_class: int = Field(description="At most so many were drawn of each set")


class CoverageMeasures(FrozenModel):
    """Of synthetic against real images, as precision_recall.py measures them; parts of 1, density may be above."""

    precision: float
    recall: float
    density: float
    coverage: float


class CoverageRow(FrozenModel):
    by_class: CoverageMeasures = Field(description="Measured within each class, then the mean over classes")
    over_all: CoverageMeasures = Field(description="Of all classes' images together")
    classes: dict[str, CoverageMeasures] = Field(description="By class id")


class View(FrozenModel):
    """The measures in one feature space.

    Every row has the same number of images, since all four measures depend on it.
    """

    inputs: CoverageInputs
    k: int = Field(description="Neighbours")
    n: dict[str, int] = Field(description="Images of each of the two sets, by class id")
    n_over_all: int
    rows: dict[str, CoverageRow] = Field(description="all, the prompt kinds, and real: real against other real images")
    left_out: dict[str, int] = Field(
        description="Class ids and prompt kinds that hold too few images, and how many there are"
    )

    @property
    def size(self) -> str:
        """Write how many images each set has within a class: `50`, or `20 to 50`."""
        least, most = min(self.n.values()), max(self.n.values())
        return f"{least}" if least == most else f"{least} to {most}"


class Coverage(FrozenModel):
    views: list[View]


class Layer(FrozenModel):
    """Main against auxiliary branch of one batch norm, as batch_norms.py compares them; means over channels."""

    name: str
    channels: int
    mean: float = Field(description="|difference of the running means| / pooled standard deviation")
    variance: float = Field(description="ln(aux variance / main variance): below 0 synthetic images vary less")
    divergence: float = Field(description="Symmetric KL divergence of the two Gaussians, nats")
    weight: float | None = Field(
        description="Norm of the difference of the scales / norm of main's scales; null without affine parameters"
    )
    bias: float | None = Field(description="Norm of the difference of the shifts / norm of main's scales")


class Branches(FrozenModel):
    trained: dict[str, dict[int, str]] = Field(description="SHA-256 of done.json by arm and seed")
    arms: dict[str, dict[int, list[Layer]]] = Field(description="By arm and seed, in the order of the network")


def seed_mean(seeds: dict[int, list[Layer]]) -> list[Layer]:
    """Average every layer's measures over the training seeds."""
    measures = ("mean", "variance", "divergence", "weight", "bias")
    means = []
    for same_layer in zip(*seeds.values(), strict=True):
        measured = [name for name in measures if getattr(same_layer[0], name) is not None]
        update = {name: fmean(getattr(layer, name) for layer in same_layer) for name in measured}
        means.append(same_layer[0].model_copy(update=update))
    return means


class Findings(FrozenModel):
    """All diagnostics of a run; null: not computed, or nothing to compute it from."""

    fidelity: Fidelity | None = None
    coverage: Coverage | None = None
    branches: Branches | None = None


def load(store: Store, run: str) -> Findings:
    """Read what diagnostics a run has in the store."""
    return Findings(
        fidelity=_read(store, layout.diagnostics(run, "fidelity"), Fidelity),
        coverage=_read(store, layout.diagnostics(run, "coverage"), Coverage),
        branches=_read(store, layout.diagnostics(run, "branches"), Branches),
    )


def _read(store: Store, key: str, kind: type[Finding]) -> Finding | None:
    return kind.model_validate_json(store.get(key)) if store.exists(key) else None


def save(store: Store, run: str, name: str, finding: FrozenModel) -> None:
    """Put one diagnostic into the store; name: fidelity, coverage or branches."""
    store.put(layout.diagnostics(run, name), (finding.model_dump_json(indent=1) + "\n").encode())


def digest(store: Store, key: str) -> str:
    """Compute the SHA-256 of an object of the store."""
    return hashlib.sha256(store.get(key)).hexdigest()
