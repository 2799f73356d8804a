"""`real:` the labelled images that the set grows from."""

from synaug.config.settings import FrozenModel, identity


class Real(FrozenModel):
    train: str = identity("train", "Split of the real training images, as `synaug import` named it")
    per_class: int | None = identity(
        None,
        "Use this many training images of each class, a seeded nested subset (10 lies within 50); null: all",
        unit="images",
        ge=1,
    )
    largest_to_smallest: float | None = identity(
        None,
        "Cut the classes to an exponential long tail with this ratio of the largest to the smallest; null: no cut",
        ge=1,
    )
