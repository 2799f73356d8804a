"""The rendered files of the chart: what `python -m pipelines render` writes and a test finds fresh."""

from pathlib import Path
from typing import Any

FILES = Path(__file__).parents[2] / "helm" / "synaug" / "files"
HEAD = "# Written by `make render` from pipelines/; do not edit. The chart merges its values into it (helm/synaug/templates/).\n"


def objects() -> dict[str, dict[str, Any]]:
    """File name -> Kubernetes object."""
    from pipelines.workflow import dag, training_job

    made = {"run": dag.run, "plan": dag.plan, "import": dag.import_, "preview": dag.preview, "fetch": dag.fetch}
    return {f"{name}.yaml": build().to_dict() for name, build in made.items()} | {
        "training-job.yaml": training_job.base()
    }


def rendered() -> dict[str, str]:
    """File name -> text, the same bytes wherever it is made: keys sorted, nothing that Hera merely defaults."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    return {
        name: HEAD + yaml.dump(made, Dumper=Dumper, sort_keys=True, width=140, allow_unicode=True)
        for name, made in objects().items()
    }


def write(folder: Path = FILES) -> list[str]:
    """Writes what differs; returns those names."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in rendered().items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(name)
    return changed
