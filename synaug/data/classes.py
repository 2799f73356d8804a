"""The classes: keyed on the id, never on a name (two classes may share one).

timm is imported where ImageNet's tables are read: it loads torch, which the control image has not. slugify is imported
where an id is made: the client of a cluster reads classes without it.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from synaug.config import Config
from synaug.config.settings import FrozenModel
from synaug.errors import UsageError

IMAGENET = "imagenet-1k"


class ClassEntry(FrozenModel):
    """One class. Its label is its position in the list."""

    # No dot: WebDataset reads a sample's extension from the first dot of its file name, and keys begin with the id.
    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="Key of the class everywhere: files, keys, results"
    )
    names: list[str] = Field(min_length=1, description="Names, the best first")
    gloss: str | None = Field(None, description="What the name means here; given, no sense is looked for")
    prompts: list[str] = Field(default_factory=list, description="Own plain prompts; replace the template")

    @property
    def name(self) -> str:
        return self.names[0]


def load_classes(config: Config, base_folder: Path) -> list[ClassEntry]:
    """Load the run's classes, in label order: `classes:` of the configuration, a file's path relative to base_folder.

    Raises UsageError.
    """
    if isinstance(config.classes, str):
        return read_classes(config.classes, base_folder)
    return parse_classes(config.classes, "classes")


def read_classes(name: str, base_folder: Path = Path()) -> list[ClassEntry]:
    """Read a class list: `imagenet-1k`, or a YAML file that lists classes. Raises UsageError."""
    if name == IMAGENET:
        return imagenet_classes()
    path = base_folder / name
    try:
        items = yaml.safe_load(path.read_text())
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"no class list {path}; give {IMAGENET}, or a YAML file with id and names of each class (`synaug init` "
            "writes one)"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} does not parse as YAML: {' '.join(str(error).split())}; repair it") from error
    if items == IMAGENET:  # a file of this one word: how a workflow's parameter arrives
        return imagenet_classes()
    return parse_classes(items, str(path))


def parse_classes(items: Any, where: str) -> list[ClassEntry]:
    """Make class entries of plain data, `{id: ..., names: [...]}` each; `names` also takes one string.

    where: what messages call the data. Raises UsageError.
    """
    if not isinstance(items, list) or not items:
        raise UsageError(f"{where} holds no list of classes; each is {{id: ..., names: [...]}}")
    entries = []
    for n, item in enumerate(items, 1):
        if isinstance(item, dict) and isinstance(item.get("names"), str):
            item = item | {"names": [item["names"]]}
        try:
            entries.append(item if isinstance(item, ClassEntry) else ClassEntry.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "entry"
            raise UsageError(
                f"{where}: class {n} ({item!r}): {field}: {first['msg']}; allowed are id, names, gloss, prompts"
            ) from error
    for class_id, count in Counter(entry.id for entry in entries).items():
        if count > 1:
            raise UsageError(
                f"{where}: {count} classes have the id {class_id!r}; every id must be another (names may be shared)"
            )
    return entries


def imagenet_classes(subset: str = IMAGENET) -> list[ClassEntry]:
    """List the classes of an ImageNet by timm's tables.

    In label order, with WordNet ids, lemmas as names and definitions as glosses. subset: a name of timm's, like
    `imagenet-1k`.
    """
    from timm.data import ImageNetInfo

    info = ImageNetInfo(subset)
    lemmas, texts = info.label_descriptions(as_dict=True), info.label_descriptions(detailed=True, as_dict=True)
    return [
        ClassEntry(id=i, names=lemmas[i].split(", "), gloss=texts[i].removeprefix(f"{lemmas[i]}: "))
        for i in info.label_names()
    ]


def slug(name: str) -> str:
    """Make an id of a folder's or label's name, of ASCII letters, digits, - and _: `Café (big)` -> `Cafe-big`."""
    from slugify import slugify

    return slugify(name, lowercase=False, regex_pattern=r"[^A-Za-z0-9_]+").lstrip("_-")
