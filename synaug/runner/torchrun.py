"""One command that trains with several processes: it starts torchrun and ends as the rank that failed first.

torchrun turns every failure of a rank into its own exit 1. Which code a rank had, and its one line, come through a file
of each. torch is imported when ranks are started: the command line names this module.
"""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple

from synaug.errors import FAILURES, INTERNAL, TERMINATED, SynaugError, TransientError, UsageError
from synaug.run.job import open_job
from synaug.run.stages import Task
from synaug.stages import train as train_stage

OUT_OF_MEMORY = 128 + signal.SIGKILL
PERMANENT = (2, 3, 4, INTERNAL)
CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


class RankError(NamedTuple):
    """The exit code and the line that a rank left."""

    code: int
    line: str


class RankFailed(SynaugError):
    """Ends as the rank ended."""

    def __init__(self, code: int, line: str):
        self.exit_code = code
        super().__init__(line)


def train(task: Task, store: str, run: str, overrides: list[str], processes: int) -> None:
    """Run the train stage in `processes` ranks here; nothing is done where the arm is trained already.

    Raises as `launch`, UsageError, DataError.
    """
    if processes < 1:
        raise UsageError(f"--nproc-per-node {processes}: give 1 or more, one process per GPU")
    job = open_job(store, run, arm=task.arm, seed=task.seed, overrides=overrides)
    if not train_stage.finished(job):
        launch([*task.arguments.split(), "--store", store, "--run", run, *overrides], processes)


def launch(arguments: list[str], processes: int) -> None:
    """Start `processes` ranks of `synaug ARGUMENTS` here, joined to others as PET_* say.

    The training operator sets those; SIGTERM goes to all ranks. Raises RankFailed; TransientError when a rank was
    killed, the rendezvous failed or a peer's machine is gone.
    """
    from torch import distributed as dist
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError

    command = torchrun.parse_args(["--nproc-per-node", str(processes), "--module", "--", "synaug", *arguments])
    kills = out_of_memory_kills()
    with tempfile.TemporaryDirectory(prefix="synaug-ranks-") as folder:
        os.environ[FAILURES] = folder
        try:
            torchrun.run(command)
        except ChildFailedError as error:
            ended = {rank: failure.exitcode for rank, failure in error.failures.items()}
            errors = read_errors(Path(folder))
            raise explain_failure(ended, errors, out_of_memory=out_of_memory_kills() > kills) from None
        except SignalException as error:
            raise SystemExit(128 + error.sigval) from None
        except (RendezvousError, dist.DistError, ConnectionError, TimeoutError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise TransientError(
                f"the ranks of this training do not find each other ({line}); run again: training goes on"
            ) from error
        finally:
            del os.environ[FAILURES]


def read_errors(folder: Path) -> dict[int, RankError]:
    """Read what ranks left in `folder`, by rank."""
    return {int(path.name): RankError(**json.loads(path.read_text())) for path in folder.iterdir()}


def explain_failure(ended: dict[int, int], errors: dict[int, RankError], *, out_of_memory: bool) -> SynaugError:
    """Explain a failed set of ranks by one error. ended: exit codes by rank, negative for a signal.

    A permanent error of one rank is the cause of the others' lost peers; a killed rank is tried again.
    """
    for rank in sorted(errors):
        if errors[rank].code in PERMANENT:
            return RankFailed(*errors[rank])
    killed = sorted(rank for rank, code in ended.items() if code < 0 and code not in (-signal.SIGTERM, -signal.SIGABRT))
    if killed and ended[killed[0]] == -signal.SIGKILL:
        if out_of_memory:
            return RankFailed(
                OUT_OF_MEMORY, f"rank {killed[0]} was killed: out of memory; raise the memory of the training's workers"
            )
        return TransientError(f"rank {killed[0]} was killed by SIGKILL; run again: training goes on")
    if killed:
        return RankFailed(128 - ended[killed[0]], f"rank {killed[0]} ended by {signal.Signals(-ended[killed[0]]).name}")
    if errors:
        return RankFailed(*errors[min(errors)])
    if -signal.SIGABRT in ended.values():  # NCCL's watchdog aborts a process whose peer is gone
        return TransientError("a rank was aborted, as by NCCL when a peer is gone; run again: training goes on")
    rank, code = next(iter(sorted(ended.items())))
    return RankFailed(TERMINATED if code < 0 or code == TERMINATED else code, f"rank {rank} ended with {code}")


def out_of_memory_kills(events: Path = CGROUP_EVENTS) -> int:
    """Count how often the kernel killed a process of this container for its memory; 0 where cgroup v2 does not say."""
    if not events.exists():
        return 0
    counts = dict(line.split() for line in events.read_text().splitlines())
    return int(counts.get("oom_kill", 0))
