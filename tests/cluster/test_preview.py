"""What people do beside a run: look first, ask the chart whether it works."""

import subprocess

from k8s.tools import binary
from tests.cluster.development import NAMESPACE, ROOT, command
from tests.cluster.phases import phase


def test_a_preview_comes_back_as_a_picture_and_the_plan_then_knows_the_time(cluster, commands):
    run = commands("preview")
    with phase("preview and plan"):
        said = command("-m", "pipelines", "preview", "--config", run.config, "--run", run.run, "--images", "8").stdout
        planned = command("-m", "pipelines", "plan", "--config", run.config, "--run", run.run, "--scale", "2x").stdout
    assert "images/s" in said
    assert (ROOT / "work" / f"{run.run}-preview.png").read_bytes().startswith(b"\x89PNG")
    assert "unmeasured" not in next(line for line in planned.splitlines() if line.startswith("GPU time"))


def test_helm_test_passes_from_inside(cluster):
    with phase("helm test"):
        done = subprocess.run(
            [binary("helm"), "--kubeconfig", cluster.kubeconfig, "test", "synaug", "--namespace", NAMESPACE, "--logs"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
