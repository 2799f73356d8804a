"""Many-, medium- and few-shot accuracy: by how many real images a class has, as long-tailed recognition reports it.

Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World (CVPR 2019, their `shot_acc`): many > 100, medium 20 to 100,
few < 20 real training images; a group's accuracy is the mean over its classes. In a small set these limits leave groups empty: then
the groups are thirds of the classes by real count, classes of equal counts staying together.
"""

from synaug.run.results import Results

NAMES = ("many", "medium", "few")
MOST, LEAST = 100, 20  # Liu et al.: many above, few below


def groups(real_counts: dict[str, int]) -> dict[str, list[str]]:
    """Class ids of many, medium and few, in that order, without empty ones; {} where all classes have equally many real images."""
    if len(set(real_counts.values())) < 2:
        return {}
    found = _grouped(real_counts, _absolute)
    if len(found) < len(NAMES):
        shares = _shares(real_counts)
        found = _grouped(real_counts, lambda count: NAMES[min(2, int(3 * shares[count]))])
    return found


def relative(real_counts: dict[str, int]) -> bool:
    """Whether `groups` are thirds of the classes, since the limits of the field leave one empty."""
    return len(_grouped(real_counts, _absolute)) < len(NAMES)


def spans(real_counts: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Fewest and most real images of a class of each group."""
    counts = {name: [real_counts[c] for c in ids] for name, ids in groups(real_counts).items()}
    return {name: (min(own), max(own)) for name, own in counts.items()}


def accuracies(results: Results, arm: str, test: str, class_ids: list[str]) -> dict[int, float]:
    """{training seed: mean of the classes' top-1 accuracies}; classes of which the test set holds no image are left out."""
    by_class = [results.class_accuracies(arm, test, class_id) for class_id in class_ids]
    seeds = sorted({seed for one in by_class for seed in one})
    own = {seed: [one[seed] for one in by_class if seed in one] for seed in seeds}
    return {seed: sum(values) / len(values) for seed, values in own.items()}


def _absolute(count: int) -> str:
    return "many" if count > MOST else "few" if count < LEAST else "medium"


def _grouped(real_counts: dict[str, int], name_of) -> dict[str, list[str]]:
    found = {name: [c for c, count in real_counts.items() if name_of(count) == name] for name in NAMES}
    return {name: ids for name, ids in found.items() if ids}


def _shares(real_counts: dict[str, int]) -> dict[int, float]:
    """Where the middle of the classes of each count lies, from 0 (the largest class) to 1."""
    ordered = sorted(real_counts.values(), reverse=True)
    return {count: (ordered.index(count) + ordered.count(count) / 2) / len(ordered) for count in set(ordered)}
