"""What `make watch` reads of a cluster: the launchers' own lines, not those of Argo's executor in the same log."""

import pytest

from pipelines.api.client import connect
from pipelines.status import argo_nodes, view
from pipelines.status.read_snapshot import ARGO_LABEL, read_snapshot
from tests.pipelines.imagenet_run import NOW, running
from tests.pipelines.made_workflow import Nodes, attempt, estimate, plan_outputs, workflow

NAME = "first-4f2a"
LINE = "train auxbn-1x seed 0: step 400/400, loss 0.61, 231 images/s, 0/2 workers, checkpoint 2 s old"
# Argo 3.7's executor, and 4's, after the main container's command has ended
EXECUTORS = [
    'time="2026-11-24T05:12:41.576Z" level=info msg="sub-process exited" argo=true error="<nil>"',
    'time="2026-11-24T05:12:41 UTC" level=info msg="not saving outputs - not main container" argo=true',
    'time=2026-11-24T05:12:41.576Z level=INFO msg="sub-process exited" argo=true error=<nil>',
]


@pytest.fixture
def shown(cluster):
    """Return the lines of a training whose launcher's log is given; it ran to its end, and its pod runs still."""
    arms = [{"arm": "auxbn-1x", "seed": "0"}]
    outputs = plan_outputs(trainings=arms, evaluations=arms, estimate=estimate())
    nodes = Nodes(NAME).add("plan", "Succeeded", attempt("Succeeded"), outputs=outputs)
    nodes.add("train", "Running", attempt(progress="400/400"), inputs={"arm": "auxbn-1x", "seed": "0"})
    pod = running("launcher", NOW, stage="train", node=f"{NAME}-train-auxbn-1x-0-0", labels={ARGO_LABEL: NAME})
    cluster.pods = [pod]

    def show(*log: str) -> list[str]:
        cluster.logs["launcher"] = "\n".join(log) + "\n"
        snapshot = read_snapshot(connect("synaug", None), workflow(NAME, "Running", nodes))
        return [line.text for line in view.lines(snapshot)]

    return show


def test_a_training_s_detail_is_the_launcher_s_line_and_not_the_executor_s(shown):
    assert f"        {LINE.removeprefix('train ')}" in shown("PyTorchJob created: 2 workers", LINE, *EXECUTORS)


def test_a_launcher_without_a_line_of_its_own_shows_its_progress(shown):
    assert "        auxbn-1x-0: step 400/400" in shown(*EXECUTORS)


@pytest.mark.parametrize("line", [LINE, "time flies: level=info", "the store said time=5 level=2 msg=3", "5 warnings"])
def test_a_line_that_only_looks_alike_is_the_stage_s(line):
    assert argo_nodes.last_own_line(f"{line}\n{EXECUTORS[0]}\n\n") == line
