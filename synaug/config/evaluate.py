"""`tests:` the labelled sets that arms are evaluated on."""

from typing import Literal

from synaug.config.settings import FrozenModel, growable


class TestSet(FrozenModel):
    __test__ = False  # not a pytest class

    split: str = growable(..., "Imported split of the store")
    domain: Literal["in", "out"] = growable("in", "Whether it comes from the real images' domain")
    subset: str | None = growable(
        None,
        "`imagenet-a` or `imagenet-r`: 200-way by timm's lists; null: the classes that the set holds labels for, among all",
    )
    note: str = growable("", "One line about where it comes from, shown beside its results")
