"""All diagnostics of a run, computed once and kept in the store, and again where their inputs changed."""

from collections.abc import Sequence

from synaug.errors import UsageError
from synaug.evaluation.diagnostics import batch_norms, coverage, fidelity
from synaug.evaluation.diagnostics.classifier import Classifier, find_classifier
from synaug.evaluation.diagnostics.features import DEFAULT, Features, open_features
from synaug.evaluation.diagnostics.schema import IMAGES, Branches, Coverage, Fidelity, Findings, load, save
from synaug.run.job import Job


def diagnose(
    job: Job,
    *,
    classifier: str | None = None,
    reference: str | None = None,
    features: Sequence[str] = DEFAULT,
    images: int = IMAGES,
) -> Findings:
    """Measure fidelity, coverage and branches of the run at its scale, and keep them in the store.

    classifier: RUN/ARM[/SEED], trained on real images; None: the run's own real arm. reference: split of real images to
    compare with; None: the training images. features: each clip, classifier or timm:NAME. images: most of each class
    and set. Views of other features or references that still hold stay in coverage.json. Without a trained auxbn arm
    there are no branches. Raises DataError (not indexed, not trained, too few images), UsageError (unknown names, too
    low a number), ModelError (weights).
    """
    if images < coverage.FEWEST:
        raise UsageError(
            f"--images {images}: give {coverage.FEWEST} or more; of fewer images of a class coverage says nothing"
        )
    earlier, judge = load(job.store, job.run), find_classifier(job, classifier)
    spaces = {name: open_features(job, name, judge) for name in features}
    return Findings(
        fidelity=_fidelity(job, judge, images, earlier.fidelity),
        coverage=_coverage(job, spaces, reference or job.config.real.train, images, earlier.coverage),
        branches=_branches(job, earlier.branches),
    )


def _fidelity(job: Job, judge: Classifier, images: int, earlier: Fidelity | None) -> Fidelity:
    inputs = fidelity.inputs(job, judge, images_per_class=images)
    if earlier and earlier.inputs == inputs:
        return earlier
    measured = fidelity.measure(job, judge, inputs)
    save(job.store, job.run, "fidelity", measured)
    return measured


def _coverage(job: Job, spaces: dict[str, Features], reference: str, images: int, earlier: Coverage | None) -> Coverage:
    """Measure the requested views, each saved at once, before those of other features or references that still hold."""
    wanted = [
        coverage.inputs(job, name, space, reference=reference, images_per_class=images)
        for name, space in spaces.items()
    ]
    replaced = {(inputs.features, inputs.reference) for inputs in wanted}
    known = earlier.views if earlier else []
    others = [
        view
        for view in known
        if (view.inputs.features, view.inputs.reference) not in replaced
        and view.inputs.synthetic == wanted[0].synthetic
    ]
    views = []
    for inputs in wanted:
        current = next((view for view in known if view.inputs == inputs), None)
        views.append(current or coverage.measure(job, spaces[inputs.features], inputs))
        if not current:
            save(job.store, job.run, "coverage", Coverage(views=views + others))
    return Coverage(views=views)


def _branches(job: Job, earlier: Branches | None) -> Branches | None:
    trainings = batch_norms.trained(job)
    if not trainings or (earlier and earlier.trained == trainings):
        return earlier if trainings else None
    measured = batch_norms.measure(job, trainings)
    save(job.store, job.run, "branches", measured)
    return measured
