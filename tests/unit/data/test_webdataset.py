import hashlib
import io
import tarfile

import pytest
import webdataset

from synaug.data.manifest import TarTable
from synaug.data.split_writer import Sample, pack
from synaug.data.splits import load_split
from synaug.data.webdataset import TarWriter, fetch_tar, image_bytes, read_sample, scan
from synaug.errors import DataError
from tests.pictures import images_of, jpeg

SAMPLES = [(f"crane-{n:07d}", jpeg(n), n % 3) for n in range(7)]


def written(path, samples=SAMPLES):
    with TarWriter(path) as writer:
        for key, image, label in samples:
            writer.add(key, image, label, text=f"a photo of a crane, {key}", metadata={"seed": label, "prompt": "ü"})
        return TarTable(tar="x.tar", **writer.close())


def test_equal_samples_give_equal_bytes_whenever_and_wherever(tmp_path):
    first, second = written(tmp_path / "a.tar"), written(tmp_path / "b.tar")
    assert first == second
    buffer = io.BytesIO()
    assert written(buffer) == first
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes() == buffer.getvalue()
    # The format is frozen: an upgrade that changes a byte of it would make finished parts differ from new ones.
    fixed = io.BytesIO()
    with TarWriter(fixed) as writer:
        writer.add("k", b"image", 1, text="t", metadata={"b": 1, "a": 2})
        assert writer.close()["sha256"] == "c0f7114ea89aaf1f2da2882ab2107f1e3047474b7b3d9211c938ed9bdf319c3d"


def test_the_table_describes_the_tar(tmp_path):
    table = written(tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    assert (table.bytes, table.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert images_of(data, table) == [(key, label, image) for key, image, label in SAMPLES]


def test_members_are_plain_files_without_owner_or_time(tmp_path):
    written(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    assert [member.name.partition(".")[2] for member in members] == ["jpg", "cls", "txt", "json"] * 7
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode, m.pax_headers == {}) for m in members} == {
        (0, 0, "", "", 0, 0o644, True)
    }


def test_webdataset_reads_it(tmp_path):
    written(tmp_path / "a.tar")
    read = webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode("pil")
    samples = list(read.to_tuple("__key__", "cls", "txt", "json", "jpg"))
    assert [(key, label) for key, label, *_ in samples] == [(key, label) for key, _, label in SAMPLES]
    assert samples[0][2:4] == ("a photo of a crane, crane-0000000", {"seed": 0, "prompt": "ü"})
    assert samples[0][4].size == (16, 16)


@pytest.mark.parametrize("key", ["a.b", "a/b", "x" * 96])
def test_a_key_that_webdataset_would_misread_is_refused(key):
    with pytest.raises(DataError, match="cannot name a sample"), TarWriter(io.BytesIO()) as writer:
        writer.add(key, b"", 0)


def test_a_scan_finds_what_was_written(tmp_path):
    table = written(tmp_path / "a.tar")
    assert scan(tmp_path / "a.tar", "x.tar") == table


def test_a_scan_reads_foreign_tars(tmp_path):
    """GNU format, folders, members in another order, extensions in capitals, and files that are no part of a sample."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in [
            ("./train/b.cls", b"1\n"),
            ("./train/b.JPEG", b"BB"),
            ("./train/a.png", b"A"),
            ("./train/a.cls", b"0"),
            ("./train/a.seg.png", b"-"),
            ("notes.txt", b"hello"),
            ("./train/._b.cls", b"junk"),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    table = scan(tmp_path / "a.tar", "x")
    assert (table.key, table.label) == (["./train/b", "./train/a"], [1, 0])
    assert [image for *_, image in images_of((tmp_path / "a.tar").read_bytes(), table)] == [b"BB", b"A"]


@pytest.mark.parametrize("left", [0, 100, 512, 700, -512 * 19, -10240, -20000])
def test_a_truncated_tar_is_refused(tmp_path, left):
    """Cut within a header, within an image, and between two samples, where tarfile itself says nothing."""
    written(tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    end = len(data.rstrip(b"\0"))
    cuts = {0: 0, 100: 100, 512: 512, 700: 700, -512 * 19: end - 5, -10240: (end + 511) // 512 * 512, -20000: end // 2}
    (tmp_path / "cut.tar").write_bytes(data[: cuts[left]])
    with pytest.raises(DataError, match=r"train-0\.tar (is truncated|holds no sample)"):
        scan(tmp_path / "cut.tar", "train-0.tar")


def test_reading_a_tar_that_is_shorter_than_its_table_is_refused(tmp_path):
    table = written(tmp_path / "a.tar")
    with pytest.raises(DataError, match=r"x\.tar is truncated: crane-0000006"):
        images_of((tmp_path / "a.tar").read_bytes()[: table.offset[-1] + 5], table)


@pytest.mark.parametrize(
    ("cls", "line"), [(b"dog", "label of sample a is 'dog'"), (b"-1", "is '-1'"), (None, r"sample a has no \.cls")]
)
def test_a_sample_without_a_label_is_refused(tmp_path, cls, line):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in [("a.jpg", b"A"), ("a.cls", cls)]:
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    with pytest.raises(DataError, match=line):
        scan(tmp_path / "a.tar", "x")


def test_a_sample_is_read_alone_with_all_its_files(store, tmp_path):
    with TarWriter(tmp_path / "a.tar") as writer:
        for n in range(3):
            writer.add(f"owl-{n}", b"x" * (600 * n), n, text=f"owl {n}", metadata={"n": n})
        table = TarTable(tar="real/a.tar", **writer.close())
    store.put(table.tar, tmp_path / "a.tar")
    for n in range(3):
        files = {"jpg": b"x" * (600 * n), "cls": b"%d" % n, "txt": b"owl %d" % n, "json": b'{"n": %d}' % n}
        assert read_sample(store, table, n) == read_sample(store, table.select([2, 0, 1]), (n + 1) % 3) == files


def test_an_image_is_taken_from_a_local_file_and_a_short_one_is_refused(tmp_path):
    table = written(tmp_path / "a.tar")
    with open(tmp_path / "a.tar", "r+b") as tar:
        assert [image_bytes(tar, table, n) for n in range(len(SAMPLES))] == [image for _, image, _ in SAMPLES]
        tar.truncate(table.offset[-1] + 5)
        with pytest.raises(DataError, match=r"x\.tar is truncated: crane-0000006"):
            image_bytes(tar, table, len(SAMPLES) - 1)


def test_a_tar_with_another_checksum_is_refused(store):
    pack(store, "train", [Sample("a", 0, jpeg(0))], classes=["cat"])
    _, (table,) = load_split(store, "train")
    data = store.get(table.tar)
    assert fetch_tar(store, table) == data
    store.put(table.tar, data[:-1] + b"x")
    with pytest.raises(DataError, match=r"real/train-000000\.tar has .* another checksum than its table"):
        fetch_tar(store, table)
    store.delete(table.tar)
    with pytest.raises(DataError, match=r"no real/train-000000\.tar"):
        fetch_tar(store, table)
