import argparse
import shlex

import pytest
import yaml

from synaug.cli import import_, init
from synaug.config.load import load_config
from synaug.data.classes import read_classes
from synaug.data.pools import real_counts
from synaug.data.splits import load_split
from synaug.data.store import open_store
from synaug.errors import DataError, UsageError
from tests.pictures import jpeg


def run_init(*arguments):
    parser = argparse.ArgumentParser()
    init.add_arguments(parser)
    init.main(parser.parse_args([str(argument) for argument in arguments]))


def images(root, classes, count=3):
    for name in classes:
        (root / name).mkdir(parents=True)
        for n in range(count):
            (root / name / f"{n}.jpg").write_bytes(jpeg(n))
    return root


def test_a_folder_gives_files_that_load_and_commands_that_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "my photos" / "train", ["big_dog", "Siamese cat", "été"])
    images(tmp_path / "my photos" / "val", ["big_dog", "Siamese cat"], count=2)
    run_init("my photos")
    config = load_config(tmp_path / "run.yaml")
    assert (config.real.train, list(config.tests), config.images.profile) == ("train", ["val"], "sd15")
    classes = read_classes("classes.yaml")
    assert [(entry.id, entry.names) for entry in classes] == [
        ("Siamese-cat", ["Siamese cat"]), ("big_dog", ["big dog"]), ("ete", ["été"]),
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "3 classes, 9 images in train, 4 images in val" in printed
    for line in printed.splitlines():
        if line.startswith("  synaug import "):
            parser = argparse.ArgumentParser()
            import_.add_arguments(parser)
            import_.main(parser.parse_args(shlex.split(line)[2:]))
    assert load_split(open_store("store"), "val")[0].samples == 4
    assert real_counts(open_store("store"), config, classes) == {"Siamese-cat": 3, "big_dog": 3, "ete": 3}
    assert "  synaug run --config run.yaml --store store --run first" in printed


def test_a_folder_without_splits_gives_a_run_without_tests(tmp_path):
    run_init(images(tmp_path / "photos", ["cat", "dog"]), "--into", tmp_path / "out")
    config = load_config(tmp_path / "out" / "run.yaml")
    assert config.tests == {}
    assert [entry["id"] for entry in config.classes] == ["cat", "dog"]
    assert "# tests:" in (tmp_path / "out" / "run.yaml").read_text()


def test_a_csv_gives_its_labels_as_classes(tmp_path):
    images(tmp_path, ["x"])
    (tmp_path / "list.csv").write_text("path,label\nx/0.jpg,polar bear\nx/1.jpg,fox\n")
    run_init(tmp_path / "list.csv", "--into", tmp_path / "out")
    assert [entry.names for entry in read_classes(str(tmp_path / "out" / "classes.yaml"))] == [["fox"], ["polar bear"]]


def test_numbers_are_put_in_order_and_their_names_asked_for(tmp_path, capsys):
    run_init(images(tmp_path / "photos", ["0", "1", "10", "2"]), "--into", tmp_path)
    assert [entry["id"] for entry in yaml.safe_load((tmp_path / "classes.yaml").read_text())] == ["0", "1", "2", "10"]
    assert "some class names are numbers: write their names" in capsys.readouterr().out


def test_folders_named_after_synsets_get_their_names_and_glosses(tmp_path):
    run_init(images(tmp_path / "photos", ["n02012849", "n03126707"]), "--into", tmp_path)
    first, second = read_classes(str(tmp_path / "classes.yaml"))
    assert first.names == second.names == ["crane"]
    assert "wading bird" in first.gloss and "lifts" in second.gloss


def test_nothing_is_overwritten(tmp_path):
    images(tmp_path / "photos", ["cat"])
    (tmp_path / "classes.yaml").write_text("mine")
    with pytest.raises(
        UsageError, match=r"classes\.yaml would be overwritten; move it away, or choose another folder with --into"
    ):
        run_init(tmp_path / "photos", "--into", tmp_path)
    assert (tmp_path / "classes.yaml").read_text() == "mine"
    assert not (tmp_path / "run.yaml").exists()


def test_what_is_no_folder_of_images_is_refused_and_nothing_written(tmp_path):
    (tmp_path / "empty").mkdir()
    for source, line in (("empty", "holds no images"), ("nowhere", "no folder or .csv file")):
        with pytest.raises(DataError, match=line):
            run_init(tmp_path / source, "--into", tmp_path)
    images(tmp_path / "photos", ["a b", "a-b"])
    with pytest.raises(DataError, match=r"'a b', 'a-b' would get the class id 'a-b'"):
        run_init(tmp_path / "photos", "--into", tmp_path)
    assert not (tmp_path / "run.yaml").exists()
