"""The rendered files of the chart: what `python -m pipelines render` writes and a test finds fresh."""

from pathlib import Path
from typing import Any

import yaml

from pipelines.workflow import dag, training_job

FILES = Path(__file__).parents[2] / "helm" / "synaug" / "files"
HEAD = (
    "# Written by `make render` from pipelines/; do not edit. The chart merges its values into it "
    "(helm/synaug/templates/).\n"
)
BUILDERS = {"run": dag.run, "plan": dag.plan, "import": dag.import_, "preview": dag.preview, "fetch": dag.fetch}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def objects() -> dict[str, dict[str, Any]]:
    """Make the Kubernetes objects, by file name."""
    templates = {f"{name}.yaml": build().to_dict() for name, build in BUILDERS.items()}
    return templates | {"training-job.yaml": training_job.base()}


def rendered() -> dict[str, str]:
    """Make the files' text, by file name: the same bytes wherever it is made.

    Keys are sorted, and nothing is there that Hera merely defaults.
    """
    return {
        name: HEAD + yaml.dump(made, Dumper=_Dumper, sort_keys=True, width=140, allow_unicode=True)
        for name, made in objects().items()
    }


def write(folder: Path = FILES) -> list[str]:
    """Write the files that differ; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in rendered().items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(name)
    return changed
