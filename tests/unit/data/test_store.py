"""The same assertions on disk and on a real S3 server."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from synaug.data.store import locate, open_store
from synaug.errors import DataError, UsageError


def test_what_is_put_is_got_whole_and_in_ranges(store):
    store.put("a/one.bin", b"0123456789")
    assert store.get("a/one.bin") == b"0123456789"
    assert store.get("a/one.bin", start=3, length=4) == b"3456"
    assert store.get("a/one.bin", length=2) == b"01"
    assert store.get("a/one.bin", start=8) == b"89"
    assert store.get("a/one.bin", start=8, length=0) == b""
    assert store.size("a/one.bin") == 10


@pytest.mark.parametrize("where", [{"start": 8, "length": 4}, {"start": 10, "length": 1}, {"start": 50, "length": 1}])
def test_a_range_beyond_the_end_says_that_the_object_is_truncated(store, where):
    store.put("a/one.bin", b"0123456789")
    with pytest.raises(DataError, match=r"a/one\.bin.* truncated"):
        store.get("a/one.bin", **where)


def test_put_replaces_and_an_empty_object_exists(store):
    store.put("x.json", b"first")
    store.put("x.json", b"")
    assert store.exists("x.json")
    assert store.get("x.json") == b""
    assert store.size("x.json") == 0


def test_a_local_file_is_put_and_downloaded(store, tmp_path):
    data = bytes(range(256)) * 1000
    (tmp_path / "in").write_bytes(data)
    store.put("file.bin", tmp_path / "in")
    store.download("file.bin", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in", "out"]


@pytest.mark.parametrize("form", ["bytes", "file"])
def test_an_object_of_several_parts_is_whole(store, tmp_path, form):
    data = bytes(range(250)) * 150_000  # 37.5 MB: three parts
    (tmp_path / "in").write_bytes(data)
    store.put("big.tar", data if form == "bytes" else tmp_path / "in")
    assert store.size("big.tar") == len(data)
    assert store.get("big.tar") == data
    assert store.get("big.tar", start=20_000_000, length=1000) == data[20_000_000:20_001_000]
    store.download("big.tar", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


def test_list_gives_keys_by_prefix_in_the_order_of_bytes(store):
    for key in ("real/a-b", "real/a/b", "real/a.b", "runs/x", "real2/y", "real/Z"):
        store.put(key, b"")
    assert list(store.list("real/")) == ["real/Z", "real/a-b", "real/a.b", "real/a/b"]
    assert list(store.list("real/a")) == ["real/a-b", "real/a.b", "real/a/b"]
    assert list(store.list("real")) == ["real/Z", "real/a-b", "real/a.b", "real/a/b", "real2/y"]
    assert list(store.list("nothing/")) == []
    assert len(list(store.list(""))) == 6


def test_list_goes_beyond_a_page(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(f"many/{n:05d}", b""), range(1001)))
    assert list(store.list("many/")) == [f"many/{n:05d}" for n in range(1001)]


def test_delete_removes_and_does_not_mind_a_missing_object(store):
    store.put("a/x", b"1")
    store.delete("a/x")
    store.delete("a/x")
    assert not store.exists("a/x")
    assert list(store.list("")) == []


@pytest.mark.parametrize("read", ["get", "size", "download"])
def test_a_missing_object_is_named(store, tmp_path, read):
    store.put("a/other", b"")
    arguments = (tmp_path / "out",) if read == "download" else ()
    with pytest.raises(DataError, match=r"no a/missing\.json in the store"):
        getattr(store, read)("a/missing.json", *arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_objects_is_no_object(store):
    store.put("a/b/c", b"1")
    assert not store.exists("a/b")
    with pytest.raises(DataError, match="no a/b in the store"):
        store.get("a/b")


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", ".hidden", "a/.hidden/b", "a b", "a/"])
@pytest.mark.parametrize("use", ["get", "exists", "delete", "size"])
def test_what_is_no_key_is_refused(store, key, use):
    with pytest.raises(UsageError, match="is no object key"):
        getattr(store, use)(key)


def test_a_store_that_is_not_there_is_named(store_url, store):
    missing = (
        open_store(store_url + "-elsewhere") if not store_url.startswith("s3:") else open_store("s3://no-such-bucket/x")
    )
    for use in (
        lambda: missing.exists("real/train.json"),
        lambda: missing.get("real/train.json"),
        lambda: list(missing.list("real/")),
    ):
        with pytest.raises(DataError, match="no store at"):
            use()


def put_and_get(store, n):
    store.put(f"from/{n}", str(n).encode())
    return store.get("before")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_store_travels_to_other_processes(store, method):
    store.put("before", b"1")
    assert pickle.loads(pickle.dumps(store)).url == store.url
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(put_and_get, [store] * 4, range(4))) == [b"1"] * 4
    assert list(store.list("from/")) == [f"from/{n}" for n in range(4)]


def test_one_put_of_two_at_a_time_wins_whole(store):
    versions = [bytes([n]) * 300_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: store.put("same", data), versions))
    assert store.get("same") in versions
    assert list(store.list("")) == ["same"]


@pytest.mark.parametrize("url", ["gs://bucket/x", "http://host/x", "file://host/x", "file://", "", "s3://", "s3:///x"])
def test_another_scheme_or_no_place_is_refused(url):
    with pytest.raises(UsageError, match=r"s3://bucket"):
        open_store(url)


def test_a_folder_may_be_given_as_url_or_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in (tmp_path / "a b", str(tmp_path / "a b"), f"file://{tmp_path}/a%20b", "a b"):
        assert open_store(url).url == str(tmp_path / "a b")
    assert not (tmp_path / "a b").exists()
    open_store("a b", create=True).put("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


def test_a_referenced_tar_is_located_outside_of_the_store(store):
    assert locate(store, "real/x.tar") == (store, "real/x.tar")
    for tar, url in (
        ("/data/train-0.tar", "/data"),
        ("file:///data/train-0.tar", "/data"),
        ("s3://other/a/b/train-0.tar", "s3://other/a/b"),
    ):
        where, key = locate(store, tar)
        assert (where.url, key) == (url, "train-0.tar")
    assert locate(store, "s3://other/train-0.tar")[0].url == "s3://other"
