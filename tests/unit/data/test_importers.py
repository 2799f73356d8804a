"""`synaug import` as a person calls it, on disk and on S3."""

import argparse
import io
import os
import signal
import subprocess
import sys
import tarfile

import pytest

from synaug.cli import import_
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.splits import load_split, split_pool
from synaug.data.store import open_store
from synaug.data.webdataset import TarWriter, fetch_tar
from synaug.errors import DataError, UsageError
from tests.pictures import encoded, images_of, jpeg


def run_import(*arguments):
    parser = argparse.ArgumentParser()
    import_.add_arguments(parser)
    import_.main(parser.parse_args([str(argument) for argument in arguments]))


def image_folder(root, classes, images=4):
    for c, name in enumerate(classes):
        for n in range(images):
            path = root / name / f"{n}.{'png' if n % 2 else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(100 * c + n, "PNG" if n % 2 else "JPEG"))
    return root


def images_by_class(store, split, classes):
    """{class id: set of image bytes}, read by the pools."""
    found = {}
    for table in split_pool(store, split, classes):
        for _, label, image in images_of(fetch_tar(store, table), table):
            found.setdefault(classes[label].id if label >= 0 else None, set()).add(image)
    return found


def entries(*ids):
    return [ClassEntry(id=class_id, names=["x"]) for class_id in ids]


def test_a_folder_is_imported_by_class_id_byte_for_byte(store_url, tmp_path, capsys):
    folder = image_folder(tmp_path / "photos", ["big dog", "cat"])
    run_import(folder, "--store", store_url)
    assert "train: 8 images of 2 classes in 1 tars" in capsys.readouterr().out
    found = images_by_class(open_store(store_url), "train", entries("cat", "big-dog"))
    assert found == {
        name: {path.read_bytes() for path in (folder / source).iterdir()}
        for name, source in (("cat", "cat"), ("big-dog", "big dog"))
    }
    run_import(folder, "--store", store_url)
    assert "already imported" in capsys.readouterr().out


def test_sorted_folder_names_never_define_labels(store_url, tmp_path):
    """ImageNet-V2's folders 0, 1, 10, 2: by name the label of `10` would be 2."""
    folder = image_folder(tmp_path / "v2", ["0", "1", "10", "2"], images=2)
    classes = entries(*(f"class-{n}" for n in range(11)))
    run_import(folder, "--store", store_url, "--split", "v2", "--labels")
    real, tables = load_split(open_store(store_url), "v2")
    assert real.classes is None
    assert real.per_label == {0: 2, 1: 2, 2: 2, 10: 2}
    by_key = {row.key: row.label for table in tables for row in table.rows()}
    assert (by_key["10_0"], by_key["2_0"]) == (10, 2)
    assert images_by_class(open_store(store_url), "v2", classes).keys() == {"class-0", "class-1", "class-2", "class-10"}


def test_folders_are_matched_with_a_class_list_by_id_in_any_order(store_url, tmp_path):
    folder = image_folder(tmp_path / "photos", ["0", "1", "10", "2"], images=2)
    (tmp_path / "classes.yaml").write_text("".join(f"- {{id: '{n}', names: [x]}}\n" for n in (10, 2, 7, 1, 0)))
    run_import(folder, "--store", store_url, "--classes", tmp_path / "classes.yaml")
    real, tables = load_split(open_store(store_url), "train")
    assert real.classes == ["10", "2", "7", "1", "0"]
    assert {row.key: row.label for table in tables for row in table.rows()}["2_0"] == 1


def test_a_csv_is_imported(store_url, tmp_path):
    image_folder(tmp_path / "photos", ["x"])
    (tmp_path / "list.csv").write_text(
        "label,path\ncat,photos/x/0.jpg\n dog,photos/x/1.png\ncat,photos/x/2.jpg\n".replace(" dog", "dog")
    )
    run_import(tmp_path / "list.csv", "--store", store_url)
    found = images_by_class(open_store(store_url), "train", entries("cat", "dog"))
    assert {class_id: len(images) for class_id, images in found.items()} == {"cat": 2, "dog": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("file,label\na.jpg,cat\n", "has the columns file, label; path and label are needed"),
        ("path,label\nnone.jpg,cat\n", r"list\.csv, line 2: no file .*none\.jpg"),
        ("path,label\n,cat\n", r"line 2: path or label is empty"),
        ("path,label\na.jpg,cat\na.jpg,dog\n", r"lists .*a\.jpg more than once"),
        ("path,label\n", "lists no image"),
    ],
)
def test_a_mistake_in_a_csv_is_named(tmp_path, text, line):
    (tmp_path / "a.jpg").write_bytes(jpeg(0))
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=line):
        run_import(tmp_path / "list.csv", "--store", tmp_path / "store")


def test_folders_that_cannot_be_told_apart_or_are_no_class_are_refused(tmp_path):
    store = ["--store", tmp_path / "store"]
    with pytest.raises(DataError, match=r"'big dog' and 'big-dog' both give the class id big-dog"):
        run_import(image_folder(tmp_path / "a", ["big dog", "big-dog"]), *store)
    (tmp_path / "classes.yaml").write_text("- {id: cat, names: [cat]}\n")
    with pytest.raises(DataError, match=r"'dog' \(id dog\) is no class of the list \(1 ids, like cat\)"):
        run_import(image_folder(tmp_path / "b", ["cat", "dog"]), *store, "--classes", tmp_path / "classes.yaml")
    with pytest.raises(DataError, match=r"'cat' is no integer label"):
        run_import(image_folder(tmp_path / "c", ["cat"]), *store, "--labels")
    with pytest.raises(DataError, match=r"the label 5 is out of range: there are 1 classes"):
        run_import(image_folder(tmp_path / "d", ["5"]), *store, "--labels", "--classes", tmp_path / "classes.yaml")
    image_folder(tmp_path / "e" / "train", ["cat"])
    image_folder(tmp_path / "e" / "val", ["cat"])
    with pytest.raises(
        UsageError,
        match=r"holds the splits train, val, not classes; import each: `synaug import .*e/train --split train`",
    ):
        run_import(tmp_path / "e", *store)
    (tmp_path / "f").mkdir()
    with pytest.raises(DataError, match="holds no images in sub-folders"):
        run_import(tmp_path / "f", *store)
    with pytest.raises(DataError, match=r"no folder, \.csv file or tar"):
        run_import(tmp_path / "nowhere", *store)
    assert not (tmp_path / "store").exists()


def test_broken_images_are_refused_or_skipped_and_listed(store_url, tmp_path, capsys):
    folder = image_folder(tmp_path / "photos", ["cat", "dog"])
    (folder / "cat" / "bad.jpg").write_bytes(jpeg(9)[:200])
    with pytest.raises(DataError, match=r"cat/bad\.jpg is broken"):
        run_import(folder, "--store", store_url)
    run_import(folder, "--store", store_url, "--skip-broken")
    out = capsys.readouterr().out
    assert "skipped: cat/bad.jpg: " in out
    assert "8 images of 2 classes in 1 tars, 1 broken ones skipped" in out


def tars(folder, labels=(0, 1, 2, 1), n=3, images=lambda i: jpeg(i)):
    folder.mkdir(exist_ok=True)
    for t in range(n):
        with TarWriter(folder / f"train-{t:06d}.tar") as writer:
            for i, label in enumerate(labels):
                writer.add(f"{t}-{i}", images(10 * t + i), label)
            writer.close()
    return f"{folder}/train-{{000000..{n - 1:06d}}}.tar"


def test_existing_tars_are_referenced_and_not_copied(store_url, tmp_path):
    source = tars(tmp_path / "data")
    run_import(source, "--store", store_url)
    store = open_store(store_url)
    real, tables = load_split(store, "train")
    assert (real.classes, real.samples, real.per_label) == (None, 12, {0: 3, 1: 6, 2: 3})
    assert [table.tar for table in tables] == [f"{tmp_path}/data/train-{n:06d}.tar" for n in range(3)]
    assert not [key for key in store.list("") if key.endswith(".tar")]
    assert images_by_class(store, "train", entries("a", "b", "c"))["a"] == {jpeg(0), jpeg(10), jpeg(20)}
    (tmp_path / "data" / "train-000001.tar").write_bytes(b"changed")
    with pytest.raises(DataError, match=r"train-000001\.tar has 7 bytes and another checksum"):
        fetch_tar(store, tables[1])


def test_tars_within_the_store_are_referenced_by_key_so_that_it_may_move(store_url, tmp_path):
    store = open_store(store_url)
    tars(tmp_path / "data")
    for n in range(3):
        store.put(f"archive/train-{n:06d}.tar", tmp_path / "data" / f"train-{n:06d}.tar")
    run_import(f"{store_url}/archive/train-{{000000..000002}}.tar", "--store", store_url, "--split", "inside")
    _, tables = load_split(store, "inside")
    assert [table.tar for table in tables] == [f"archive/train-{n:06d}.tar" for n in range(3)]
    assert len(images_by_class(store, "inside", entries("a", "b", "c"))) == 3


def test_tars_on_s3_are_referenced_from_a_store_on_disk(s3_environment, tmp_path):
    from tests.weed import BUCKET

    tars(tmp_path / "data")
    outside = open_store(f"s3://{BUCKET}/outside")
    for n in range(3):
        outside.put(f"train-{n:06d}.tar", tmp_path / "data" / f"train-{n:06d}.tar")
    run_import(f"s3://{BUCKET}/outside/train-{{000000..000002}}.tar", "--store", tmp_path / "store")
    assert len(images_by_class(open_store(tmp_path / "store"), "train", entries("a", "b", "c"))["b"]) == 6


def test_a_tar_that_is_truncated_is_refused(store_url, tmp_path):
    source = tars(tmp_path / "data")
    path = tmp_path / "data" / "train-000002.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"train-000002\.tar is truncated"):
        run_import(source, "--store", store_url)
    assert not open_store(store_url).exists(layout.real_split("train"))


def test_a_tar_with_a_broken_jpeg_is_refused_or_the_image_left_out(store_url, tmp_path):
    source = tars(tmp_path / "data", images=lambda i: jpeg(i)[:250] if i == 12 else jpeg(i))
    with pytest.raises(DataError, match=r"train-000001\.tar: image 1-2 cannot be decoded"):
        run_import(source, "--store", store_url)
    run_import(source, "--store", store_url, "--skip-broken")
    real, tables = load_split(open_store(store_url), "train")
    assert real.samples == 11
    assert "1-2" not in tables[1].key


def test_a_tar_with_a_label_out_of_range_is_refused(store_url, tmp_path):
    source = tars(tmp_path / "data", labels=(0, 1, 2, 7))
    (tmp_path / "classes.yaml").write_text("".join(f"- {{id: {c}, names: [x]}}\n" for c in "abc"))
    with pytest.raises(DataError, match=r"train: a label is 7, with 3 classes; labels go from 0 to 2"):
        run_import(source, "--store", store_url, "--classes", tmp_path / "classes.yaml")
    run_import(source, "--store", store_url)
    with pytest.raises(DataError, match=r"the split 'train' has the label 7, and there are 3 classes"):
        split_pool(open_store(store_url), "train", entries("a", "b", "c"))


def test_missing_tars_and_odd_braces_are_refused(store_url, tmp_path):
    tars(tmp_path / "data")
    with pytest.raises(DataError, match=r"000003\.tar"):
        run_import(tmp_path / "data/train-{000002..000003}.tar", "--store", store_url)
    with pytest.raises(UsageError, match="braces do not match"):
        run_import(tmp_path / "data/train-{000002.tar", "--store", store_url)


def test_a_tar_that_is_compressed_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    with pytest.raises(DataError, match="no uncompressed tar"):
        run_import(tmp_path / "a.tar.gz", "--store", tmp_path / "store")


COMMAND = """
import argparse, sys
from synaug.cli import import_
parser = argparse.ArgumentParser()
import_.add_arguments(parser)
import_.main(parser.parse_args(sys.argv[1:]))
"""


@pytest.mark.parametrize("tars_there", [0, 1, 5])
def test_an_import_that_was_killed_and_repeated_equals_one_that_was_not(store_url, tmp_path, tars_there):
    folder = image_folder(tmp_path / "photos", ["cat", "dog", "owl"], images=120)
    arguments = ["--tar-bytes", "20000"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), "--store", store_url, *arguments],
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    store = open_store(store_url)
    while process.poll() is None and sum(key.endswith(".tar") for key in store.list("real/")) < tars_there:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_import(folder, "--store", store_url, *arguments)
    run_import(folder, "--store", tmp_path / "other", *arguments)
    other = open_store(tmp_path / "other")
    assert {key: store.get(key) for key in store.list("")} == {key: other.get(key) for key in other.list("")}
