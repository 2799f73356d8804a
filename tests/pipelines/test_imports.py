"""What a person waits for at `--help`, and what a small image for the launcher must hold."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
import pipelines.__main__, pipelines.commands
for name in [f"pipelines.commands.{module.name}" for module in pkgutil.iter_modules(pipelines.commands.__path__)]:
    importlib.import_module(name)
for name in ("api.workflow_request", "launcher.jobs", "launcher.launcher", "operations.log_transfer",
             "workflow.training_job"):
    importlib.import_module(f"pipelines.{name}")
print(*sorted({"torch", "hera", "kubernetes", "numpy", "diffusers"} & set(sys.modules)))
"""


def test_commands_and_launcher_load_neither_torch_nor_hera_nor_the_kubernetes_client():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
