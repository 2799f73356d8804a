"""The study's file: runs and arms of a base configuration, and what is to be compared. Several files are one study."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from synaug.config import Config
from synaug.config.arms import differences, merged
from synaug.config.load import PRESETS, parse_config, read_yaml
from synaug.config.settings import FrozenModel
from synaug.config.suggest import did_you_mean, explain
from synaug.errors import UsageError
from synaug.evaluation.statistics import REAL_KINDS
from synaug.reporting.study.outcome import split_arm_ref
from synaug.run.job import check_name
from synaug.run.plan import active_arms

REFERENCE = re.compile(r"[^/]+/[^/]+")


class Comparison(FrozenModel):
    """Arms are named RUN/ARM. All arms of a table must be comparable; of `differences` each pair by itself."""

    title: str
    text: str = Field("", description="What is asked, in a sentence or two")
    arms: list[str] = Field([], description="Rows of the table")
    real: list[str] = Field(
        [], description="Real-only arms; gains are claimed against the better of those with the row's model"
    )
    differences: dict[str, tuple[str, str]] = Field(
        {}, description="Label -> [A, B]: A minus B, paired by training seed"
    )
    tests: list[str] | None = Field(None, description="Test sets; null: all")
    figure: str | None = Field(None, pattern="^(scale|gains|differences)$", description="Drawn beside the table")

    @property
    def references(self) -> list[str]:
        pairs = [reference for pair in self.differences.values() for reference in pair]
        return list(dict.fromkeys([*self.real, *self.arms, *pairs]))


class StudyFile(FrozenModel):
    """docs/study/NAME.yaml"""

    title: str
    text: str = ""
    base: str = Field(description="Preset, or run.yaml beside this file, that every run starts from")
    runs: dict[str, dict[str, Any]] = Field(
        description="Name -> what differs from the base, section by section", min_length=1
    )
    comparisons: dict[str, Comparison] = Field({}, description="Name -> comparison")
    diagnose: list[str] = Field([], description="Runs whose images are looked at (`synaug diagnose`)")


@dataclass(frozen=True)
class Base:
    """The configuration that a run starts from: its text, and the folder that its paths are relative to."""

    text: str
    folder: Path


@dataclass(frozen=True)
class Study:
    """One or several files together."""

    files: list[Path]
    parts: list[StudyFile]
    configs: dict[str, Config]  # by run

    @property
    def comparisons(self) -> dict[str, Comparison]:
        return {name: comparison for part in self.parts for name, comparison in part.comparisons.items()}

    @property
    def diagnose(self) -> list[str]:
        return list(dict.fromkeys(run for part in self.parts for run in part.diagnose))


def load_study(files: list[Path]) -> Study:
    """Read the files of a study. Runs of one name in several files are one run, with their arms together.

    Raises UsageError for what cannot be meant.
    """
    if not files:
        raise UsageError("no study file is given; docs/study/headline.yaml is one")
    if twice := next((file for file in files if files.count(file) > 1), None):
        raise UsageError(f"{twice} is given twice; once is enough")
    parts = [_read(file) for file in files]
    changes: dict[str, dict] = {}
    bases: dict[str, Base] = {}
    for file, part in zip(files, parts, strict=True):
        for run, of_run in part.runs.items():
            check_name(run, f"{file}: run")
            base = _base(file, part.base)
            if bases.setdefault(run, base) != base:
                raise UsageError(f"{file}: run {run} has another base than in an earlier file; give it another name")
            if run in changes and (lines := differences(apart_from_arms(changes[run]), apart_from_arms(of_run))):
                raise UsageError(
                    f"{file}: runs.{run} is another than in an earlier file: {'; '.join(lines)}; "
                    "only `arms` may differ; or rename it"
                )
            changes[run] = _joined(changes.get(run, {}), of_run, f"{file}: runs.{run}")
    configs = {}
    for run, base in bases.items():
        sections = read_yaml(base.text, "base")
        if not isinstance(sections, dict):
            raise UsageError(f"the base of run {run} holds no mapping of sections; `synaug config` lists the fields")
        text = yaml.safe_dump(merged(sections, changes[run]), sort_keys=False)
        configs[run] = parse_config(text, folder=base.folder, name=f"run {run}")
    study = Study(files, parts, configs)
    _check_names(study)
    return study


def _read(file: Path) -> StudyFile:
    if not file.is_file():
        raise UsageError(f"there is no study file {str(file)!r}; docs/study/ has headline.yaml and others")
    data = read_yaml(file.read_text(), str(file))
    if not isinstance(data, dict):
        raise UsageError(
            f"{file} holds no mapping; a study has title, base, runs and comparisons, like docs/study/headline.yaml"
        )
    try:
        return StudyFile.model_validate(data)
    except ValidationError as error:
        raise UsageError(explain(error, str(file), suggest=_keys_there)) from error


def _keys_there(path: str) -> str:
    """What a message adds after an unknown key of a study's file: the nearest one, or all that there are."""
    above, dot, key = path.rpartition(".")
    known = list((Comparison if above else StudyFile).model_fields)
    hint = did_you_mean(key, known, cutoff=0.75, inside=above + dot)
    return hint or f"; a {'comparison' if above else 'study'} has {', '.join(known)}"


def _base(file: Path, base: str) -> Base:
    if base in PRESETS:
        return Base((resources.files("synaug.config") / "presets" / f"{base}.yaml").read_text(), file.parent)
    path = file.parent / base
    if not path.is_file():
        raise UsageError(
            f"{file}: base: there is no {str(path)!r}; give a file beside the study, or a preset: {', '.join(PRESETS)}"
        )
    return Base(path.read_text(), path.parent)


def apart_from_arms(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the arms out of a run's changes."""
    return {key: value for key, value in changes.items() if key != "arms"}


def _joined(earlier: dict[str, Any], later: dict[str, Any], where: str) -> dict[str, Any]:
    """Both together; what both say must be the same."""
    together = dict(earlier)
    for key, value in later.items():
        before = together.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            together[key] = _joined(before, value, f"{where}.{key}")
        elif key in together and before != value:
            raise UsageError(f"{where}.{key}: {value!r}, and an earlier file has {before!r}; name another run")
        else:
            together[key] = value
    return together


def _check_names(study: Study) -> None:
    names = [name for part in study.parts for name in part.comparisons]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two comparisons are named {twice[0]}; give one another name")
    for name, comparison in study.comparisons.items():
        for reference in comparison.references:
            run, arm = split_arm_ref(reference)
            if not REFERENCE.fullmatch(reference) or run not in study.configs:
                known = ", ".join(study.configs)
                raise UsageError(
                    f"comparison {name}: {reference!r} names no run of the study; write RUN/ARM, runs: {known}"
                )
            if arm not in study.configs[run].arms:
                arms = ", ".join(study.configs[run].arms) or "none"
                raise UsageError(f"comparison {name}: run {run} has no arm {arm!r}; it has {arms}")
            if arm not in active_arms(study.configs[run]):
                scale = study.configs[run].scale
                raise UsageError(
                    f"comparison {name}: arm {reference} waits for a larger scale than {scale}; raise the run's scale"
                )
        for test in comparison.tests or ():
            for run in {split_arm_ref(reference)[0] for reference in comparison.references}:
                if test not in study.configs[run].tests:
                    tests = ", ".join(study.configs[run].tests)
                    raise UsageError(f"comparison {name}: run {run} has no test {test!r}; it has {tests}")
    for run in study.diagnose:
        if run not in study.configs:
            raise UsageError(f"diagnose: {run!r} is no run of the study; runs: {', '.join(study.configs)}")
        if not any(arm.kind in REAL_KINDS for arm in study.configs[run].arms.values()):
            raise UsageError(
                f"diagnose: run {run} has no arm on real images alone, which judges the others; add one of kind real"
            )
