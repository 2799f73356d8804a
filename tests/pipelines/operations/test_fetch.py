"""Objects through a log arrive whole or not at all."""

import os

import pytest

from pipelines.commands import fetch as command
from pipelines.operations import fetch
from synaug.data.store import open_store
from synaug.errors import DataError, UsageError

NOISE = ["time=... level=info msg=capturing", "5 warnings"]


@pytest.mark.parametrize("size", [0, 1, 4000, 100_000])
def test_what_is_printed_between_other_lines_is_read_back(size):
    data = os.urandom(size)
    log = "\r\n".join([*NOISE, *fetch.encode("runs/first/report/index.html", data), *NOISE])
    assert fetch.decode(log) == ("runs/first/report/index.html", data)


def test_the_last_attempt_counts():
    first, second = fetch.encode("runs/a/x", b"old"), fetch.encode("runs/a/x", b"new")
    assert fetch.decode("\n".join([*first, *second]))[1] == b"new"


def test_lines_are_short_enough_for_every_container_runtime():
    assert max(len(line) for line in fetch.encode("runs/a/x", os.urandom(50_000))) <= fetch.LINE < 16 * 1024


def lost_line(lines):
    return [*lines[:2], *lines[3:]]


def changed(lines):
    return [lines[0], ("B" if lines[1][40] == "A" else "A").join([lines[1][:40], lines[1][41:]]), *lines[2:]]


def nothing(lines):
    return NOISE


def no_end(lines):
    return lines[:-1]


@pytest.mark.parametrize("damage, said", [
    (nothing, "holds no object"), (no_end, "ends early"), (lost_line, "damaged"), (changed, "damaged"),
])  # fmt: skip
def test_a_cut_or_changed_log_is_refused(damage, said):
    lines = fetch.encode("runs/a/x", os.urandom(20_000))
    with pytest.raises(DataError, match=f"({said}).*fetch it again"):
        fetch.decode("\n".join(damage(lines)))


def test_what_a_log_would_cut_is_refused_before_it_is_printed():
    with pytest.raises(DataError, match="too large to go through a log"):
        fetch.encode("runs/a/x", os.urandom(fetch.LARGEST))


@pytest.mark.parametrize("what, key", [
    ("report", "runs/a/report/index.html"), ("preview", "runs/a/preview/contact-sheet.png"),
    ("logs/images-017", "runs/a/logs/images-017.txt"), ("logs/train-auxbn-1x-0", "runs/a/logs/train-auxbn-1x-0.txt"),
    ("logs/index-all", "runs/a/logs/index-all.txt"),
])  # fmt: skip
def test_names_of_what_can_be_fetched(what, key):
    assert fetch.key_of("a", what) == key


@pytest.mark.parametrize("what", ["", "plan.json", "logs/", "logs/images", "images-017", "../x"])
def test_other_names_are_refused(what):
    with pytest.raises(UsageError, match="give report, preview, or logs/STAGE-UNIT"):
        fetch.key_of("a", what)


def test_the_command_prints_the_object(tmp_path, capsys):
    import argparse

    store = open_store(tmp_path, create=True)
    store.put("runs/a/report/index.html", b"<html>a report</html>")
    command.main(argparse.Namespace(store=str(tmp_path), run="a", what="report"))
    assert fetch.decode(capsys.readouterr().out) == ("runs/a/report/index.html", b"<html>a report</html>")
