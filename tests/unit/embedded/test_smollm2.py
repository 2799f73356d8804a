import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from synaug.embedded import smollm2

ROOT = Path(__file__).parents[3]


@pytest.fixture
def conversions(tmp_path, monkeypatch):
    """An empty cache, and a conversion that writes one file; what it was called with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls, never = [], Event()

    def unpack(work):
        calls.append(work)
        never.wait(0.2)  # time for the others to come
        work.mkdir()
        (work / "model").write_text("whole")

    monkeypatch.setattr(smollm2, "_unpack", unpack)
    return calls


def test_of_several_workers_one_converts_and_all_get_the_whole_model(conversions, capsys):
    with ThreadPoolExecutor(4) as workers:
        folders = list(workers.map(lambda _: smollm2.model_folder(), range(4)))
    assert len(conversions) == 1 and set(folders) == {smollm2.cache_folder()}
    assert (folders[0] / "model").read_text() == "whole"
    assert capsys.readouterr().err == f"unpacking the small language model, 270 MB, into {folders[0]}\n"


@pytest.mark.slow
def test_unpacking_prints_a_line_of_ours_and_no_bar_of_the_libraries(tmp_path):
    taken = {"SYNAUG_CACHE", "TQDM_DISABLE"}
    environment = {name: value for name, value in os.environ.items() if name not in taken}
    environment |= {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "synaug.embedded.smollm2"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=200)
    folder = Path(done.stdout.strip())
    assert folder.parent == tmp_path / "synaug" and (folder / "model.safetensors").stat().st_size > 200 * 2**20
    assert done.stderr == f"unpacking the small language model, 270 MB, into {folder}\n"


def test_what_a_killed_process_left_is_cleared_away(conversions):
    part = smollm2.cache_folder().with_name(f"{smollm2.cache_folder().name}.part")
    part.mkdir(parents=True)
    (part / "half").write_text("half")
    assert sorted(path.name for path in smollm2.model_folder().iterdir()) == ["model"]
    assert not part.exists()


def test_a_cache_that_cannot_be_written_is_done_without(conversions, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(smollm2, "_process_folder", lambda: tmp_path / "own")
    assert smollm2.model_folder() == tmp_path / "own"


def test_a_folder_that_an_image_brings_is_used_though_nothing_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    brought = tmp_path / smollm2.cache_folder().name
    brought.mkdir()
    monkeypatch.setenv("SYNAUG_CACHE", str(tmp_path))
    assert smollm2.model_folder() == brought
