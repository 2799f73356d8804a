"""The sentences of the first screen.

What was done, what came out, how it was made, what the models had seen before, what did not work.
"""

from dataclasses import dataclass

from synaug.config.arms import resolve_arm, settings_of
from synaug.embedded.datasets import CLASSES
from synaug.evaluation.statistics import REAL_KINDS, MeanWithInterval, better_real, gain, mean_with_interval, paired
from synaug.reporting.formatting import brief, capital, change, count, listed, points, verdict
from synaug.reporting.report.data import ReportData
from synaug.run.plan import active_arms

MIXED = ("naive", "auxbn")
DOMAINS = {"in": "in domain", "out": "out of domain"}


@dataclass(frozen=True)
class ArmGain:
    """Paired difference of an arm to the better real-only arm on a test set."""

    arm: str
    test: str
    difference: MeanWithInterval

    @property
    def verdict(self) -> str:
        return verdict(self.difference)


def scale_of(data: ReportData, arm: str) -> int:
    """Read the multiple of synthetic images that an arm was evaluated at; 0 without any."""
    return data.results.first(arm).scale or 0


def largest_arms(data: ReportData) -> list[str]:
    """List the mixed arms of the largest scale that was evaluated: what the headline is about."""
    mixed = [arm for arm in data.results.arms if data.results.first(arm).kind in MIXED]
    top = max((scale_of(data, arm) for arm in mixed), default=0)
    return [arm for arm in mixed if scale_of(data, arm) == top]


def gains(data: ReportData, domain: str, arms: list[str]) -> list[ArmGain]:
    """Compare arms with the better real-only arm on every test set of a domain, `in` or `out`."""
    tests = [test for test in data.results.tests if data.results.test(test).domain == domain]
    return [
        ArmGain(arm, test, difference)
        for arm in arms
        for test in tests
        if (difference := gain(data.results, arm, test))
    ]


def headline(data: ReportData) -> str:
    """Count the comparisons of the largest scale that show a gain or a loss."""
    verdicts = {
        where: [arm_gain.verdict for arm_gain in gains(data, domain, largest_arms(data))]
        for domain, where in DOMAINS.items()
    }
    verdicts = {where: of_domain for where, of_domain in verdicts.items() if of_domain}
    if not verdicts:
        return "Nothing to compare yet"
    all_verdicts = [of_gain for of_domain in verdicts.values() for of_gain in of_domain]
    if "unknown" in all_verdicts:
        return "Too few training seeds to show anything yet"
    raised = [f"{_of(of_domain.count('gain'), len(of_domain))} {where}" for where, of_domain in verdicts.items()]
    lowered = all_verdicts.count("loss")
    fall = f", and lowered it in {_of(lowered, len(all_verdicts))}" if lowered else ""
    return f"Synthetic images raised accuracy in {' and '.join(raised)}{fall}"


def _of(n: int, total: int) -> str:
    if total == 1:
        return "the one comparison" if n else "0 of 1 comparison"
    return f"all {total} comparisons" if n == total else f"{n} of {total} comparisons"


def work_done(data: ReportData) -> str:
    """Say in a sentence or two how many images were joined, and what was trained on them."""
    synthetic = (
        f"{data.synthetic_images:,} synthetic images" if data.index else f"synthetic images at {data.config.scale}"
    )
    evaluated = [data.results.first(arm) for arm in data.results.arms]
    kinds, models = {arm.kind for arm in evaluated}, sorted({arm.model for arm in evaluated})
    seeds = len({seed for _, seed in data.results.evaluations})
    real, mixed = kinds & set(REAL_KINDS), kinds - set(REAL_KINDS)
    images = (
        "the real images alone and on the mix" if real and mixed else "the real images alone" if real else "the mix"
    )
    trained = f" {listed(models)} was trained on {images}, {count(seeds, 'seed')} an arm." if kinds else ""
    classes = count(len(data.plan.classes), "class")
    return f"{data.real_images:,} real images of {classes} were joined by {synthetic}.{trained}"


def findings(data: ReportData) -> list[str]:
    """Tell the accuracy of each mixed arm of the largest scale, in domain and out of it, and where AuxBN gained."""
    sentences = []
    for arm in largest_arms(data):
        parts = [_against_baseline(data, arm_gain) for arm_gain in gains(data, "in", [arm])]
        if outside := gains(data, "out", [arm]):
            changes = [f"{change(arm_gain.difference)} on {arm_gain.test}" for arm_gain in outside]
            parts.append("out of domain " + ", ".join(changes))
        if parts:
            sentences.append(f"{arm}: {'; '.join(parts)}.")
    return sentences + _auxbn_against_naive(data, "gain", "above {partner} on {tests}: AuxBN paid.")


def _against_baseline(data: ReportData, arm_gain: ArmGain) -> str:
    arm, test = arm_gain.arm, arm_gain.test
    baseline = better_real(data.results, arm, test)
    assert baseline is not None  # there is a gain over it
    mean, against = (
        points(mean_with_interval(data.results.accuracies(name, test).values()).mean) for name in (arm, baseline)
    )
    return f"{mean}% on {test} against {against}% of {baseline}, {change(arm_gain.difference)}"


def how_made(data: ReportData) -> list[str]:
    """Tell which models wrote and drew, from which prompts, and what the arms share."""
    models = {model.role: model for model in data.plan.models}
    mix, images = data.config.prompts.mix, data.config.images
    sentences = []
    if "llm" in models and "clip" in models:
        senses = (
            "chose what each class name means"
            if data.config.prompts.senses
            else "was not asked what a class name means"
        )
        sentences.append(f"{capital(models['llm'].name)} wrote scenes; with {models['clip'].name} it {senses}.")
    if "diffusion" in models:
        guidance = f" at guidance {images.guidance_scale:g}" if images.guidance_scale is not None else ""
        if guidance and images.guidance_scale_diversified is not None:
            guidance += f" ({images.guidance_scale_diversified:g} in scenes and styles)"
        shares = ", ".join(
            f"{100 * share:.0f}% {name}"
            for share, name in ((mix.plain, "plain"), (mix.cd, "in a scene (cd)"), (mix.sd, "in a style (sd)"))
            if share
        )
        shelf = "" if data.embedded else ", off the shelf"
        sentences.append(
            f"{capital(models['diffusion'].name)} drew the images{guidance}{shelf}, from prompts: {shares}."
        )
    settings = data.config.training
    sentences.append(
        f"All arms share {settings.steps:,} steps of {settings.batch_size} images (real-half: half the steps); "
        f"{_split(data)}. AuxBN gives those a batch norm of their own, which is dropped at test."
    )
    return sentences


def _split(data: ReportData) -> str:
    """Tell what part of a batch is synthetic, for all mixed arms or, where they differ, by arm."""
    by_share: dict[float, list[str]] = {}
    for name, arm in data.config.arms.items():
        if arm.kind in MIXED:
            by_share.setdefault(settings_of(data.config, name).synthetic_share, []).append(name)
    parts = {
        share: "half" if share == 0.5 else f"{100 * share:g}%"
        for share in by_share or [data.config.training.synthetic_share]
    }
    if len(parts) == 1:
        return f"mixed arms take {next(iter(parts.values()))} of each batch from the synthetic images"
    shares = [f"{parts[share]} with {listed(names)}" for share, names in by_share.items()]
    return f"of each batch, {', '.join(shares)} are synthetic images"


def seen_before(data: ReportData) -> list[str]:
    """Tell what the models were trained on, since a gain can come from that."""
    if data.embedded and not {entry.id for entry in data.plan.classes} <= CLASSES.keys():
        return [
            "The embedded generator and CLIP were trained on 50,000 photos of garments (Fashion-MNIST) and know "
            "nothing else: images of other classes do not show them. Such a run walks through the commands; its "
            "figures say nothing about these classes."
        ]
    if data.embedded:
        return [
            "The embedded generator and CLIP were trained on 50,000 real photos of the same dataset (Fashion-MNIST), "
            f"with painted contexts. So the synthetic images carry what {data.real_images:,} real photos cannot: this "
            "shows that the method works, not that images come for free.",
            "They have seen neither these real photos, nor the dev, nor the test photos. Out-of-domain sets use other "
            "backgrounds, noises and code. Everything was tuned on the dev photos.",
        ]
    models = [model.name for model in data.plan.models if model.role in ("clip", "diffusion")]
    return [
        f"{capital(listed(models))} were trained on images from the web that synaug cannot check: they may have seen "
        "these classes, this dataset, or its test images. A gain can come from that."
    ]


def not_worked(data: ReportData) -> list[str]:
    """Tell everything against the result that the run itself can know."""
    sentences = [*_losses(data), *_missing_results(data), *_doubtful_prompts(data), *_missing_images(data)]
    return sentences or ["Nothing that the run can know of."]


def _losses(data: ReportData) -> list[str]:
    sentences = []
    for arm in data.results.arms:
        arm_gains = gains(data, "in", [arm]) + gains(data, "out", [arm])
        texts = {
            wanted: [
                f"{arm_gain.test} ({brief(arm_gain.difference)})"
                for arm_gain in arm_gains
                if arm_gain.verdict == wanted
            ]
            for wanted in ("loss", "open")
        }
        if texts["loss"]:
            sentences.append(f"{arm} is worse than real-only on {listed(texts['loss'])}.")
        if texts["open"]:
            sentences.append(f"{arm}: no difference shown on {listed(texts['open'])}.")
    return sentences + _auxbn_against_naive(data, "loss", "below {partner} on {tests}: AuxBN cost accuracy.")


def _missing_results(data: ReportData) -> list[str]:
    results, sentences = data.results, []
    if any(arm_gain.verdict == "unknown" for arm_gain in gains(data, "in", largest_arms(data))):
        sentences.append("There are too few training seeds for intervals: no gain is claimed.")
    if results.arms and not any(results.first(arm).kind in REAL_KINDS for arm in results.arms):
        sentences.append("No real-only arm was evaluated: nothing to compare with.")
    active = active_arms(data.config)
    wanted = {(arm, seed) for arm in active for seed in data.config.seeds}
    if missing := len(wanted - set(results.evaluations)):
        sentences.append(f"{count(missing, 'training')} of {len(wanted)} not evaluated yet.")
    if results.tests and (unmeasured := [name for name in data.config.tests if name not in results.tests]):
        sentences.append(f"Nothing is measured on {listed(unmeasured)} yet.")
    if waiting := [arm for arm in data.config.arms if arm not in active]:
        sentences.append(f"{listed(waiting)} {'waits' if len(waiting) == 1 else 'wait'} for a larger scale.")
    return sentences


def _doubtful_prompts(data: ReportData) -> list[str]:
    sentences = []
    if flagged := [data.names[prompts.class_id] for prompts in data.prompts if prompts.flagged]:
        others = " and others" if len(flagged) > 6 else ""
        sentences.append(f"The sense of {listed(flagged[:6])}{others} was chosen by a small margin.")
    if fallen := [data.names[prompts.class_id] for prompts in data.prompts if prompts.fallback]:
        classes = count(len(fallen), "class")
        sentences.append(f"{classes} fell back to the plain name in part: {listed(fallen[:6])}.")
    return sentences


def _missing_images(data: ReportData) -> list[str]:
    if not data.index:
        return []
    sentences, rejects, lost = [], sum(data.index.rejects.values()), len(data.index.lost)
    if rejects or lost:
        sentences.append(f"{count(rejects, 'attempt')} rejected and made again, {count(lost, 'image')} given up.")
    if data.index.truncated_prompts:
        sentences.append(f"{count(data.index.truncated_prompts, 'prompt')} longer than the text encoder reads.")
    return sentences


def _auxbn_against_naive(data: ReportData, wanted: str, words: str) -> list[str]:
    """Tell where AuxBN gained on its naive twin, or lost; wanted: gain or loss."""
    results, sentences = data.results, []
    for arm in results.arms:
        if partner := _naive_twin(data, arm):
            texts = []
            for test in results.tests:
                difference = paired(results.accuracies(arm, test), results.accuracies(partner, test))
                if difference and verdict(difference) == wanted:
                    texts.append(f"{test} ({brief(difference)})")
            if texts:
                sentences.append(f"{arm} is {words.format(partner=partner, tests=listed(texts))}")
    return sentences


def _naive_twin(data: ReportData, arm: str) -> str | None:
    """Find the evaluated naive arm that differs from an auxbn arm in nothing but the kind."""

    def rest(name: str) -> dict:
        frozen = resolve_arm(data.config, name).frozen()
        return {key: value for key, value in frozen.items() if key not in ("arm", "kind")}

    results = data.results
    if results.first(arm).kind != "auxbn":
        return None
    naive = [name for name in results.arms if results.first(name).kind == "naive"]
    return next((name for name in naive if rest(name) == rest(arm)), None)
