"""Many-, medium- and few-shot accuracy: by how many real images a class has, as long-tailed recognition reports it.

Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World (CVPR 2019, their `shot_acc`): many > 100,
medium 20 to 100, few < 20 real training images; a group's accuracy is the mean over its classes. In a small set these
limits leave groups empty: then the groups are thirds of the classes by real count, classes of equal counts staying
together.
"""

from collections.abc import Callable
from dataclasses import dataclass

from synaug.run.results import Results

NAMES = ("many", "medium", "few")
MOST, LEAST = 100, 20  # Liu et al.: many above, few below


@dataclass(frozen=True)
class CountRange:
    """Fewest and most real images of a class of a group."""

    fewest: int
    most: int


def groups(real_counts: dict[str, int]) -> dict[str, list[str]]:
    """Group class ids into many, medium and few, in that order, without empty groups.

    real_counts: real images by class id. {} where all classes have equally many.
    """
    if len(set(real_counts.values())) < 2:
        return {}
    absolute = _grouped(real_counts, _absolute)
    if len(absolute) == len(NAMES):
        return absolute
    ranks = _ranks(real_counts)
    return _grouped(real_counts, lambda count: NAMES[min(2, int(3 * ranks[count]))])


def relative(real_counts: dict[str, int]) -> bool:
    """Tell whether `groups` are thirds of the classes, since the limits of the field leave a group empty."""
    return len(_grouped(real_counts, _absolute)) < len(NAMES)


def count_ranges(real_counts: dict[str, int]) -> dict[str, CountRange]:
    """Find the fewest and the most real images of a class, by group."""
    counts = {name: [real_counts[class_id] for class_id in ids] for name, ids in groups(real_counts).items()}
    return {name: CountRange(min(of_group), max(of_group)) for name, of_group in counts.items()}


def accuracies(results: Results, arm: str, test: str, class_ids: list[str]) -> dict[int, float]:
    """Average the top-1 accuracies of a group's classes, by training seed.

    Classes of which the test set holds no image are left out; {} where that leaves none.
    """
    by_class = [results.class_accuracies(arm, test, class_id) for class_id in class_ids]
    seeds = sorted({seed for by_seed in by_class for seed in by_seed})
    by_training = {seed: [by_seed[seed] for by_seed in by_class if seed in by_seed] for seed in seeds}
    return {seed: sum(values) / len(values) for seed, values in by_training.items()}


def _absolute(count: int) -> str:
    return "many" if count > MOST else "few" if count < LEAST else "medium"


def _grouped(real_counts: dict[str, int], group_of: Callable[[int], str]) -> dict[str, list[str]]:
    by_group = {
        name: [class_id for class_id, count in real_counts.items() if group_of(count) == name] for name in NAMES
    }
    return {name: ids for name, ids in by_group.items() if ids}


def _ranks(real_counts: dict[str, int]) -> dict[int, float]:
    """Rank each count by the middle of the classes that have it, from 0 (the largest class) to 1."""
    ordered = sorted(real_counts.values(), reverse=True)
    return {count: (ordered.index(count) + ordered.count(count) / 2) / len(ordered) for count in set(ordered)}
