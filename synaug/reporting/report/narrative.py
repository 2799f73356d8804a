"""The sentences of the first screen: what was done, what came out, how it was made, what was seen before, what did not work."""

from synaug.config.arms import resolve_arm, settings_of
from synaug.evaluation.statistics import REAL_KINDS, MeanWithInterval, better_real, gain, mean_with_interval, paired
from synaug.reporting.formatting import brief, capital, change, count, listed, points, verdict
from synaug.reporting.report.data import ReportData
from synaug.run.plan import active_arms

MIXED = ("naive", "auxbn")


def scale_of(facts: ReportData, arm: str) -> int:
    return facts.results.first(arm).scale or 0


def largest_arms(facts: ReportData) -> list[str]:
    """The mixed arms of the largest scale that was evaluated: what the headline is about."""
    mixed = [arm for arm in facts.results.arms if facts.results.first(arm).kind in MIXED]
    top = max((scale_of(facts, arm) for arm in mixed), default=0)
    return [arm for arm in mixed if scale_of(facts, arm) == top]


def gains(facts: ReportData, domain: str, arms: list[str]) -> list[tuple[str, str, MeanWithInterval]]:
    """(arm, test, paired difference to the better real-only arm) on every test set of a domain."""
    tests = [test for test in facts.results.tests if facts.results.test(test).domain == domain]
    found = [(arm, test, gain(facts.results, arm, test)) for arm in arms for test in tests]
    return [(arm, test, one) for arm, test, one in found if one]


def headline(facts: ReportData) -> str:
    """Counts the comparisons of the largest scale that show a gain or a loss."""
    found = {
        where: gains(facts, domain, largest_arms(facts))
        for domain, where in (("in", "in domain"), ("out", "out of domain"))
    }
    found = {where: [verdict(one) for _, _, one in several] for where, several in found.items() if several}
    if not found:
        return "Nothing to compare yet"
    everything = [one for several in found.values() for one in several]
    if "unknown" in everything:
        return "Too few training seeds to show anything yet"
    raised = [f"{_of(several.count('gain'), len(several))} {where}" for where, several in found.items()]
    lowered = everything.count("loss")
    fall = f", and lowered it in {_of(lowered, len(everything))}" if lowered else ""
    return f"Synthetic images raised accuracy in {' and '.join(raised)}{fall}"


def _of(n: int, total: int) -> str:
    word = "comparison" if total == 1 else "comparisons"
    if total == 1:
        return "the one comparison" if n else "0 of 1 comparison"
    return f"all {total} {word}" if n == total else f"{n} of {total} {word}"


def done(facts: ReportData) -> str:
    made = (
        f"{facts.synthetic_images:,} synthetic images" if facts.index else f"synthetic images at {facts.config.scale}"
    )
    kinds = {facts.results.first(arm).kind for arm in facts.results.arms}
    seeds = len({seed for _, seed in facts.results.evaluations})
    model = sorted({facts.results.first(arm).model for arm in facts.results.arms})
    real, mixed = kinds & set(REAL_KINDS), kinds - set(REAL_KINDS)
    data = "the real images alone and on the mix" if real and mixed else "the real images alone" if real else "the mix"
    trained = f" {listed(model)} was trained on {data}, {count(seeds, 'seed')} an arm." if kinds else ""
    return f"{facts.real_images:,} real images of {count(len(facts.plan.classes), 'class')} were joined by {made}.{trained}"


def result(facts: ReportData) -> list[str]:
    """One sentence a mixed arm of the largest scale, on the first test set in domain and on those out of domain."""
    told = []
    for arm in largest_arms(facts):
        inside, outside = gains(facts, "in", [arm]), gains(facts, "out", [arm])
        parts = []
        for _, test, one in inside:
            mean, baseline = (
                mean_with_interval(facts.results.accuracies(arm, test).values()).mean,
                better_real(facts.results, arm, test),
            )
            against = mean_with_interval(facts.results.accuracies(baseline, test).values()).mean
            parts.append(f"{points(mean)}% on {test} against {points(against)}% of {baseline}, {change(one)}")
        if outside:
            parts.append("out of domain " + ", ".join(f"{change(one)} on {test}" for _, test, one in outside))
        if parts:
            told.append(f"{arm}: {'; '.join(parts)}.")
    return told + _auxbn_against_naive(facts, "gain", "above {partner} on {tests}: AuxBN paid.")


def made(facts: ReportData) -> list[str]:
    models = {model.role: model for model in facts.plan.models}
    mix, images = facts.config.prompts.mix, facts.config.images
    told = []
    if "llm" in models and "clip" in models:
        senses = (
            "chose what each class name means"
            if facts.config.prompts.senses
            else "was not asked what a class name means"
        )
        told.append(f"{capital(models['llm'].name)} wrote scenes; with {models['clip'].name} it {senses}.")
    if "diffusion" in models:
        guidance = f" at guidance {images.guidance_scale:g}" if images.guidance_scale is not None else ""
        if guidance and images.guidance_scale_diversified is not None:
            guidance += f" ({images.guidance_scale_diversified:g} in scenes and styles)"
        shares = ", ".join(
            f"{100 * share:.0f}% {name}"
            for share, name in ((mix.plain, "plain"), (mix.cd, "in a scene (cd)"), (mix.sd, "in a style (sd)"))
            if share
        )
        shelf = "" if facts.embedded else ", off the shelf"
        told.append(f"{capital(models['diffusion'].name)} drew the images{guidance}{shelf}, from prompts: {shares}.")
    settings = facts.config.training
    told.append(
        f"All arms share {settings.steps:,} steps of {settings.batch_size} images (real-half: half the steps); {_split(facts)}. "
        "AuxBN gives those a batch norm of their own, which is dropped at test."
    )
    return told


def _split(facts: ReportData) -> str:
    """What part of a batch is synthetic, for all mixed arms or, where they differ, by arm."""
    by_share: dict[float, list[str]] = {}
    for name, arm in facts.config.arms.items():
        if arm.kind in MIXED:
            by_share.setdefault(settings_of(facts.config, name).synthetic_share, []).append(name)
    parts = {
        share: "half" if share == 0.5 else f"{100 * share:g}%"
        for share in by_share or [facts.config.training.synthetic_share]
    }
    if len(parts) == 1:
        return f"mixed arms take {next(iter(parts.values()))} of each batch from the synthetic images"
    told = [f"{parts[share]} with {listed(names)}" for share, names in by_share.items()]
    return f"of each batch, {', '.join(told)} are synthetic images"


def seen(facts: ReportData) -> list[str]:
    if facts.embedded:
        return [
            "The embedded generator and CLIP were trained on 50,000 real photos of the same dataset (Fashion-MNIST), with painted "
            f"contexts. So the synthetic images carry what {facts.real_images:,} real photos cannot: this shows that the method "
            "works, not that images come for free.",
            "They have seen neither these real photos, nor the dev, nor the test photos. Out-of-domain sets use other backgrounds, noises "
            "and code. Everything was tuned on the dev photos.",
        ]
    models = [model.name for model in facts.plan.models if model.role in ("clip", "diffusion")]
    return [
        f"{capital(listed(models))} were trained on images from the web that synaug cannot check: they may have seen these classes, this "
        "dataset, or its test images. A gain can come from that."
    ]


def not_worked(facts: ReportData) -> list[str]:
    """Everything against the result that the run itself can know."""
    results, told = facts.results, []
    for arm in results.arms:
        found = gains(facts, "in", [arm]) + gains(facts, "out", [arm])
        losses = [f"{test} ({brief(one)})" for _, test, one in found if verdict(one) == "loss"]
        undecided = [f"{test} ({brief(one)})" for _, test, one in found if verdict(one) == "open"]
        if losses:
            told.append(f"{arm} is worse than real-only on {listed(losses)}.")
        if undecided:
            told.append(f"{arm}: no difference shown on {listed(undecided)}.")
    told += _auxbn_against_naive(facts, "loss", "below {partner} on {tests}: AuxBN cost accuracy.")
    if any(verdict(one) == "unknown" for _, _, one in gains(facts, "in", largest_arms(facts))):
        told.append("There are too few training seeds for intervals: no gain is claimed.")
    if not any(results.first(arm).kind in REAL_KINDS for arm in results.arms) and results.arms:
        told.append("No real-only arm was evaluated: nothing to compare with.")
    active = active_arms(facts.config)
    wanted = {(arm, seed) for arm in active for seed in facts.config.seeds}
    if missing := len(wanted - set(results.evaluations)):
        told.append(f"{count(missing, 'training')} of {len(wanted)} not evaluated yet.")
    if waiting := [arm for arm in facts.config.arms if arm not in active]:
        told.append(f"{listed(waiting)} {'waits' if len(waiting) == 1 else 'wait'} for a larger scale.")
    flagged = [facts.names[one.class_id] for one in facts.prompts if one.flagged]
    if flagged:
        told.append(
            f"The sense of {listed(flagged[:6])}{' and others' if len(flagged) > 6 else ''} was chosen by a small margin."
        )
    fallen = [facts.names[one.class_id] for one in facts.prompts if one.fallback]
    if fallen:
        told.append(f"{count(len(fallen), 'class')} fell back to the plain name in part: {listed(fallen[:6])}.")
    if facts.index:
        rejects = sum(facts.index.rejects.values())
        if rejects or facts.index.lost:
            told.append(
                f"{count(rejects, 'attempt')} rejected and made again, {count(len(facts.index.lost), 'image')} given up."
            )
        if facts.index.truncated_prompts:
            told.append(f"{count(facts.index.truncated_prompts, 'prompt')} longer than the text encoder reads.")
    return told or ["Nothing that the run can know of."]


def _auxbn_against_naive(facts: ReportData, wanted: str, words: str) -> list[str]:
    """Where AuxBN gained on its naive twin, or lost; wanted: gain or loss."""
    results, told = facts.results, []
    for arm in results.arms:
        if partner := _naive_twin(facts, arm):
            differences = {
                test: paired(results.accuracies(arm, test), results.accuracies(partner, test)) for test in results.tests
            }
            found = [f"{test} ({brief(one)})" for test, one in differences.items() if verdict(one) == wanted]
            if found:
                told.append(f"{arm} is {words.format(partner=partner, tests=listed(found))}")
    return told


def _naive_twin(facts: ReportData, arm: str) -> str | None:
    """The evaluated naive arm that differs from an auxbn arm in nothing but the kind."""

    def rest(name: str) -> dict:
        return {
            key: value for key, value in resolve_arm(facts.config, name).frozen().items() if key not in ("arm", "kind")
        }

    results = facts.results
    if results.first(arm).kind != "auxbn":
        return None
    return next(
        (name for name in results.arms if results.first(name).kind == "naive" and rest(name) == rest(arm)), None
    )
