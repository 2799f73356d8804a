"""The disk alone: kills, full and read-only disks."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from synaug.data import file_store
from synaug.data.file_store import PARTIAL, FileStore
from synaug.errors import DataError

PUT_FOR_EVER = """
import sys
from pathlib import Path
from synaug.data.store import open_store
store = open_store(sys.argv[1])
for n in range(1_000_000):
    store.put(f"x/{n % 3}", bytes([n % 250]) * 3_000_000)
    print(n, flush=True)
"""


@pytest.mark.parametrize("puts", [1, 4, 7])
def test_a_killed_put_leaves_whole_objects_and_the_next_put_clears_away_the_rest(tmp_path, puts):
    process = subprocess.Popen([sys.executable, "-c", PUT_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for _ in range(puts):
        process.stdout.readline()
    _await_partial(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = FileStore(tmp_path)
    assert set(store.list("")) <= {"x/0", "x/1", "x/2"}
    for key in store.list(""):
        data = store.get(key)
        assert data == data[:1] * 3_000_000
    store.put("y", b"1")
    assert list((tmp_path / PARTIAL).iterdir()) == []


def _await_partial(root: Path) -> None:
    """Until a put is under way."""
    while not any((root / PARTIAL).glob("*")):
        os.sched_yield()


def test_a_put_under_way_in_another_process_is_left_alone(tmp_path):
    first, second = FileStore(tmp_path), FileStore(tmp_path)
    path, file = first._partial()
    second.put("x", b"1")
    assert path.exists()
    file.close()
    FileStore(tmp_path).put("x", b"1")
    assert not path.exists()


def test_what_a_put_is_writing_is_never_listed(tmp_path):
    store = FileStore(tmp_path)
    store.put("x", b"1")
    _, file = store._partial()
    with file:
        assert list(store.list("")) == ["x"]
        assert list(store.list(".")) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch, code):
    store = FileStore(tmp_path)
    store.put("x", b"before")

    def full(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(file_store.os, "fsync", full)
    with pytest.raises(DataError, match=r"is full .* at x; free some space"):
        store.put("x", b"after")
    assert store.get("x") == b"before"
    assert list((tmp_path / PARTIAL).iterdir()) == []


def test_a_limit_that_the_system_enforces_counts_as_full(tmp_path):
    """A real failing write: the process may not write files beyond 10 kB."""
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from synaug.errors import DataError
from synaug.data.store import open_store
try:
    open_store(sys.argv[1]).put("x", bytes(50_000))
except DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "is full" in done.stdout, done
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def errors_of_another_user(root, results):
    if os.geteuid() == 0:  # root is stopped by no mode
        os.setgid(65534)
        os.setuid(65534)
    store = FileStore(root)
    found = [store.get("x")]
    for use in (lambda: store.put("y", b"1"), lambda: store.delete("x")):
        try:
            use()
        except DataError as error:
            found.append(str(error))
    results.put(found)


def test_a_folder_of_another_user_is_denied_for_good():
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "store")
        FileStore(root).create()
        FileStore(root).put("x", b"1")
        Path(folder).chmod(0o755)
        root.chmod(0o555)
        results = context.SimpleQueue()
        process = context.Process(target=errors_of_another_user, args=(root, results))
        process.start()
        process.join(30)
        root.chmod(0o755)
    data, *errors = results.get()
    assert data == b"1"
    assert [error.partition(" in the store")[0] for error in errors] == ["no permission for y", "no permission for x"]


def test_a_read_only_filesystem_is_said(tmp_path, monkeypatch):
    def read_only(*arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    store = FileStore(tmp_path)
    monkeypatch.setattr(file_store.os, "replace", read_only)
    with pytest.raises(DataError, match="is read-only, so x cannot be written"):
        store.put("x", b"1")


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        FileStore(tmp_path / "file" / "store").create()
    FileStore(tmp_path).put("a", b"1")
    with pytest.raises(DataError, match="cannot write a/b"):
        FileStore(tmp_path).put("a/b", b"1")


def test_a_put_is_synced_before_it_is_seen(tmp_path, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(file_store.os, "fsync", lambda d: (events.append("sync"), real_fsync(d)))
    monkeypatch.setattr(file_store.os, "replace", lambda a, b: (events.append("rename"), real_replace(a, b)))
    FileStore(tmp_path).put("x", b"1")
    assert events == ["sync", "rename", "sync"]
