"""On what the runs of a study were made: noted when they are, since whoever draws may sit at another machine."""

import json

from synaug.data import layout
from synaug.data.store import Store
from synaug.run import environment


def record(store: Store, run: str) -> None:
    """After work was done on a run here."""
    known = read(store, run)
    here = {
        "machine": environment.sentence(),
        "versions": {name: version for name, version in environment.versions().items() if version},
    }
    if here not in known:
        store.put(layout.timing(run, "study", "machines"), (json.dumps([*known, here], indent=1) + "\n").encode())


def read(store: Store, run: str) -> list[dict]:
    key = layout.timing(run, "study", "machines")
    return json.loads(store.get(key)) if store.exists(key) else []


def together(store: Store, runs: list[str]) -> tuple[str, dict[str, str]]:
    """(machines, versions) of all runs; a version that differs is listed with each of its values."""
    every = [one for run in runs for one in read(store, run)]
    machines = list(dict.fromkeys(one["machine"] for one in every))
    versions: dict[str, list[str]] = {}
    for one in every:
        for name, version in one["versions"].items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    return "; ".join(machines) or "not recorded", {name: ", ".join(found) for name, found in versions.items()}
