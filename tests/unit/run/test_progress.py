"""Progress as plain lines at a rhythm, and as Argo's file."""

import io

import pytest

from synaug.run.job import Progress
from synaug.run.progress import LineReporter, duration, plural


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_at_a_rhythm_with_rate_and_time_left(monkeypatch):
    monkeypatch.delenv("ARGO_PROGRESS_FILE", raising=False)
    clock, stream = Clock(), io.StringIO()
    reporter = LineReporter(every=10, stream=stream, clock=clock)
    for clock.now, done in ((0, 100), (5, 120), (10, 140), (19, 170), (20, 180), (21, 200)):
        reporter(Progress("images", "images-003", done, 200, "image", {"rejected": 2}))
    assert stream.getvalue().splitlines() == [
        "images-003: 100/200 images, rejected 2",
        "images-003: 140/200 images, 4 images/s, 15 s left, rejected 2",
        "images-003: 180/200 images, 4 images/s, 5 s left, rejected 2",
        "images-003: 200/200 images, 4.76 images/s, rejected 2",
    ]


def test_argo_reads_n_of_total_from_its_file(monkeypatch, tmp_path):
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "progress"))
    reporter = LineReporter(stream=io.StringIO())
    reporter(Progress("train", "train-a-0", 3, 10, "step"))
    assert (tmp_path / "progress").read_text() == "3/10"
    reporter(Progress("train", "train-a-0", 10, 10, "step"))
    assert (tmp_path / "progress").read_text() == "10/10"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unmeasured"),
        (0, "0 s"),
        (0.44, "0.4 s"),
        (0.96, "1 s"),
        (3.2, "3 s"),
        (89, "89 s"),
        (125, "2 min 05 s"),
        (540, "9 min"),
        (3599.7, "1 h"),
        (4200, "1 h 10 min"),
        (3 * 3600 + 600, "3 h 10 min"),
        (100 * 3600, "4.2 days"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_plurals():
    assert [plural(unit) for unit in ("class", "image", "index", "batch")] == [
        "classes",
        "images",
        "indexes",
        "batches",
    ]
