from synaug.__main__ import main
from synaug.data.store import open_store
from tests.unit.evaluation.diagnostics import made


def test_tables_are_printed_and_a_second_time_at_once(tmp_path, capsys):
    made.filled(open_store(tmp_path / "store", create=True))
    command = ["diagnose", "--store", str(tmp_path / "store"), "--run", "r", "--features", "classifier"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert (
        "synthetic, all    25.0%  240" in first.out
        and "other real ones" in first.out
        and "Lowest: c0, 0.0% of 60" in first.out
    )
    assert max(map(len, first.out.splitlines())) <= 80
    assert "diagnose-coverage-classifier: 480/480 images" in first.err
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.out == first.out and again.err == ""


def test_a_run_without_a_trained_real_arm_is_refused_with_the_command(tmp_path, capsys):
    store = open_store(tmp_path / "store", create=True)
    made.filled(store)
    store.delete("runs/r/train/real/0/done.json")
    assert main(["diagnose", "--store", str(tmp_path / "store"), "--run", "r"]) == 3
    assert capsys.readouterr().err == (
        f"synaug diagnose: no real arm is trained: run `synaug train --store {store.url} --run r --arm real --seed 0`, "
        "or name another run's with --classifier RUN/ARM\n"
    )


def test_too_few_images_are_refused(tmp_path, capsys):
    made.job(open_store(tmp_path / "store", create=True))
    assert main(["diagnose", "--store", str(tmp_path / "store"), "--run", "r", "--images", "9"]) == 2
    error = "synaug diagnose: --images 9: give 10 or more; of fewer images of a class coverage says nothing\n"
    assert capsys.readouterr().err == error
