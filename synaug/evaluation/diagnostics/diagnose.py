"""All diagnostics of a run, computed once and kept in the store; what they were computed from changed: computed again."""

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
    """Fidelity, coverage and branches of the run at its scale.

    classifier: RUN/ARM[/SEED], trained on real images; None: the run's own real arm. reference: split of real images to compare with;
    None: the training images. features: each clip, classifier or timm:NAME. images: most of each class and set.
    Views of other features or references that still hold stay in coverage.json. Without a trained auxbn arm there are no branches.
    Raises DataError (not indexed, not trained, too few images), UsageError (unknown names, too low a number), ModelError (weights).
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
    given = fidelity.inputs(job, judge, images_per_class=images)
    if earlier and earlier.inputs == given:
        return earlier
    found = fidelity.measure(job, judge, given)
    save(job.store, job.run, "fidelity", found)
    return found


def _coverage(job: Job, spaces: dict[str, Features], reference: str, images: int, earlier: Coverage | None) -> Coverage:
    """The asked views, each saved as soon as it is there, before those of other features or references that hold still."""
    wanted = [
        coverage.inputs(job, name, space, reference=reference, images_per_class=images)
        for name, space in spaces.items()
    ]
    places = {(given.features, given.reference) for given in wanted}
    known = earlier.views if earlier else []
    others = [
        view
        for view in known
        if (view.inputs.features, view.inputs.reference) not in places and view.inputs.synthetic == wanted[0].synthetic
    ]
    views = []
    for given in wanted:
        found = next((view for view in known if view.inputs == given), None)
        views.append(found or coverage.measure(job, spaces[given.features], given))
        if not found:
            save(job.store, job.run, "coverage", Coverage(views=views + others))
    return Coverage(views=views)


def _branches(job: Job, earlier: Branches | None) -> Branches | None:
    given = batch_norms.trained(job)
    if not given or (earlier and earlier.trained == given):
        return earlier if given else None
    found = batch_norms.measure(job, given)
    save(job.store, job.run, "branches", found)
    return found
