"""What Prometheus reads from a stage that runs."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from synaug.data.store import open_store
from tests.images_run import images_job, write_plan
from tests.weed import free_ports

ROOT = Path(__file__).parents[2]


def stage(store, *arguments: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "synaug", *arguments, "--store", store.url, "--run", "first"]
    values = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, cwd=ROOT, env=values, stderr=subprocess.PIPE, text=True)


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_running_images_stage_serves_what_it_made(tmp_path):
    store = open_store(tmp_path / "store", create=True)
    write_plan(images_job(store, images=2000, part_images=32))
    port = free_ports(1)[0]
    with stage(store, "images", "--shard", "0", SYNAUG_METRICS_PORT=str(port)) as process:
        try:
            for line in process.stderr:
                if (found := re.search(r": (\d+)/6000 images", line)) and int(found[1]) >= 64:
                    break
            values = scrape(port)
        finally:
            process.kill()
    assert values["synaug_images_total"] >= 64
    for phase in ("text", "denoise", "decode", "checks", "encode", "clip", "upload"):
        assert values[f'synaug_phase_seconds_total{{phase="{phase}"}}'] > 0, phase
    assert values["synaug_store_upload_seconds_count"] >= 2  # a tar and its manifest
    assert not [name for name in values if "shard" in name]


def test_without_a_port_nothing_is_imported_or_counted(monkeypatch):
    from synaug import telemetry

    monkeypatch.delenv(telemetry.PORT, raising=False)
    script = (
        "import sys; from synaug import telemetry; telemetry.serve(); telemetry.images(3, ['black']); telemetry.phase('text', 1.0)\n"
        "with telemetry.uploading(): pass\n"
        "assert 'prometheus_client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_rejects_and_training_are_counted(monkeypatch):
    from synaug import telemetry

    port = free_ports(1)[0]
    monkeypatch.setenv(telemetry.PORT, str(port))
    monkeypatch.setattr(telemetry._Served, "instruments", None)
    telemetry.serve()
    telemetry.images(3, ["black", "flagged", "black"])
    telemetry.training(step=50, images=6400, loss=1.5, accuracy=0.25, images_per_second=900.0)
    values = scrape(port)
    assert values['synaug_rejected_images_total{reason="black"}'] == 2
    assert (values["synaug_train_step"], values["synaug_train_loss"], values["synaug_train_accuracy_ratio"]) == (
        50,
        1.5,
        0.25,
    )
    assert (values["synaug_train_images_total"], values["synaug_train_images_per_second"]) == (6400, 900)
