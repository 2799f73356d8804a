import itertools
import re

import pytest

from synaug.data import layout
from synaug.data.manifest import RealSplit
from synaug.data.split_writer import Sample, pack, unique_key
from synaug.data.splits import load_split
from synaug.data.webdataset import fetch_tar
from synaug.errors import DataError
from tests.pictures import images_of, jpeg

CLASSES = ["cat", "dog", "owl"]


def samples(n=60, classes=3):
    """Sorted by class, as folders give them."""
    return [Sample(f"s{i:03d}", i * classes // n, jpeg(i), f"{i}.jpg") for i in range(n)]


def test_a_packed_split_holds_every_image_once_byte_for_byte(store):
    packed = pack(store, "train", samples(), classes=CLASSES, tar_bytes=20_000)
    real, tables = load_split(store, "train")
    assert real == packed.split
    assert (real.classes, real.samples, real.per_label, real.tars) == (CLASSES, 60, {0: 20, 1: 20, 2: 20}, len(tables))
    assert real.tars > 2
    read = {key: (label, image) for table in tables for key, label, image in images_of(fetch_tar(store, table), table)}
    assert read == {sample.key: (sample.label, sample.source) for sample in samples()}


def test_classes_are_interleaved(store):
    pack(store, "train", samples(300), classes=CLASSES)
    _, tables = load_split(store, "train")
    labels = [label for table in tables for label in table.label]
    runs = len([label for label, _ in itertools.groupby(labels)])
    assert runs > 150  # 200 on average when drawn at random, 3 when sorted


def test_tars_have_about_the_size_asked_for(store):
    pack(store, "train", samples(), classes=CLASSES, tar_bytes=30_000)
    _, tables = load_split(store, "train")
    assert all(20_000 < table.bytes < 45_000 for table in tables[:-1])


def test_packing_again_gives_the_same_bytes(tmp_path):
    from synaug.data.store import open_store

    contents = []
    for name in ("a", "b"):
        store = open_store(tmp_path / name, create=True)
        pack(store, "train", samples(), classes=CLASSES, tar_bytes=20_000)
        contents.append({key: store.get(key) for key in store.list("")})
    assert contents[0] == contents[1]


def test_an_equal_split_is_left_alone_and_another_one_refused(store):
    pack(store, "train", samples(), classes=CLASSES)
    before = {key: store.get(key) for key in store.list("")}
    assert pack(store, "train", samples(), classes=CLASSES).done_before
    other = samples()
    other[7] = Sample("s007", 0, jpeg(1000), "7.jpg")  # one image has another content
    for changed in (other, samples()[:-1], [*samples()[:-1], Sample("s059", 0, jpeg(59), "59.jpg")]):
        with pytest.raises(
            DataError, match=r"'train' .*was imported from other images \(60 in 1 tars\); choose another --split"
        ):
            pack(store, "train", changed, classes=CLASSES)
    with pytest.raises(DataError, match="other images"):
        pack(store, "train", samples(), classes=["dog", "cat", "owl"])
    assert {key: store.get(key) for key in store.list("")} == before
    pack(store, "val", other, classes=CLASSES)


def test_left_overs_of_an_import_that_was_killed_are_cleared(store):
    """A kill before the list: tars of a larger import, and another split whose name begins alike."""
    pack(store, "train-more", samples(9), classes=CLASSES)
    for n in range(40):
        store.put(layout.real_tar("train", n), b"half")
    pack(store, "train", samples(), classes=CLASSES, tar_bytes=20_000)
    real, _ = load_split(store, "train")
    tars = [key for key in store.list("real/train-") if re.fullmatch(r"real/train-\d{6}\.tar", key)]
    assert len(tars) == real.tars < 40
    assert load_split(store, "train-more")[0].samples == 9


class Killed(BaseException):
    """What no code catches, like a SIGKILL."""


@pytest.mark.parametrize("put", range(1, 8))
def test_the_list_is_published_last_wherever_an_import_is_killed(store, monkeypatch, put):
    count = itertools.count(1)
    original = type(store).put

    def put_until(self, key, data):
        if next(count) == put:
            raise Killed
        original(self, key, data)

    monkeypatch.setattr(type(store), "put", put_until)
    with pytest.raises(Killed):
        pack(store, "train", samples(20), classes=CLASSES, tar_bytes=20_000)
    monkeypatch.undo()
    assert not store.exists(layout.real_split("train"))
    assert pack(store, "train", samples(20), classes=CLASSES, tar_bytes=20_000).split.samples == 20


def broken_jpeg():
    return jpeg(1)[: len(jpeg(1)) // 2]


def test_a_broken_image_is_refused_by_name_and_nothing_is_published(store):
    images = [*samples(), Sample("bad", 0, broken_jpeg(), "cat/bad.jpg")]
    with pytest.raises(DataError, match=r"cat/bad\.jpg is broken: .*[Tt]runcated.*--skip-broken"):
        pack(store, "train", images, classes=CLASSES)
    assert not store.exists(layout.real_split("train"))


def test_broken_images_are_skipped_counted_and_listed_when_asked(store):
    images = [*samples(), Sample("bad", 0, broken_jpeg(), "cat/bad.jpg"), Sample("text", 1, b"hello", "dog/text.jpg")]
    packed = pack(store, "train", images, classes=CLASSES, skip_broken=True)
    assert packed.split.samples == 60
    assert [line.partition(":")[0] for line in packed.broken] == ["cat/bad.jpg", "dog/text.jpg"]
    with pytest.raises(DataError, match="every image of val is broken"):
        pack(store, "val", images[-2:], classes=CLASSES, skip_broken=True)


def test_keys_are_readable_and_unique():
    taken = set()
    names = ["cat/1", "cat_1", "cat 1", "crane", "a.b", "漢字", "文字", "x" * 300]
    keys = [unique_key(name, taken) for name in names]
    assert keys[0] == "cat_1"
    assert keys[3:5] == ["crane", "a_b"]
    assert len(set(keys)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,90}", key) for key in keys)


def test_the_split_file_says_what_it_is(store):
    pack(store, "train", samples(), classes=CLASSES)
    assert RealSplit.model_validate_json(store.get("real/train.json")).classes == CLASSES
