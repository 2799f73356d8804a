"""A stage that nothing but its row and this module knows of; it stands in for synaug/stages/toy.py."""

import time

from synaug.run.job import Job
from synaug.run.stages import STAGES, Scope, Stage

HELP = "look at the images of a class shard"
EPILOG = "reads nothing, writes nothing, needs nothing; example  synaug toy"
ROW = Stage(name="toy", unit="toy", scope=Scope.SHARD, follows="images")


def table() -> dict[str, Stage]:
    """The stages with this one after `images`."""
    rows = list(STAGES.values())
    rows.insert(list(STAGES).index("images") + 1, ROW)
    return {row.name: row for row in rows}


def run(job: Job) -> None:
    job.store.put(
        f"done/toy-{job.shard}.json", f'{{"began": {time.monotonic()}, "ended": {time.monotonic()}}}'.encode()
    )
