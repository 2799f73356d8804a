"""Which installed distributions a set of them needs, and which top-level modules belong to others."""

import re
from importlib import metadata

from packaging.requirements import Requirement


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: list[str]) -> set[str]:
    """These distributions and all that they require here."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            wanted = [Requirement(line) for line in metadata.requires(name) or ()]
            left += [normal(each.name) for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def foreign_modules(names: list[str]) -> list[str]:
    """Top-level modules of the installed distributions outside of the closure of `names`."""
    wanted = closure(names)
    owners = metadata.packages_distributions()
    return sorted(module for module, owned in owners.items() if not wanted & {normal(owner) for owner in owned})
