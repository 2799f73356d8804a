"""S3 alone: what the server refuses, faults on the way, uploads that were killed."""

import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from datetime import timedelta

import pytest

from synaug.data import s3_store as s3
from synaug.data.s3_store import clients
from synaug.data.split_writer import Sample, pack
from synaug.data.store import open_store
from synaug.errors import DataError, ModelError, TransientError, UsageError
from synaug.stages import index
from tests.made_run import made_job, make_images
from tests.pictures import jpeg
from tests.proxy import FaultyProxy
from tests.weed import BUCKET, READER, free_ports


@pytest.fixture
def s3_store(s3_environment):
    return open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}")


def test_an_account_that_may_only_read_is_denied_for_good(s3_store, other_s3_environment):
    s3_store.put("x", b"1")
    other_s3_environment(**READER)
    assert s3_store.get("x") == b"1"
    for use in (lambda: s3_store.put("y", b"1"), lambda: s3_store.delete("x")):
        with pytest.raises(ModelError, match=r"denies .*AccessDenied.*check the credentials"):
            use()


def test_unknown_keys_and_missing_ones_are_a_matter_of_credentials(s3_store, other_s3_environment, monkeypatch):
    other_s3_environment(AWS_ACCESS_KEY_ID="nobody")
    with pytest.raises(ModelError, match="InvalidAccessKeyId"):
        s3_store.get("x")
    with pytest.raises(ModelError, match="denies HeadObject"):
        s3_store.exists("x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    clients.cache_clear()
    with pytest.raises(ModelError, match="no usable credentials"):
        s3_store.get("x")


def test_a_404_for_an_unknown_access_key_is_a_matter_of_credentials(s3_store, weed, other_s3_environment, tmp_path):
    (tmp_path / "big").write_bytes(bytes(17 << 20))
    with FaultyProxy(weed.endpoint, percent=100, kinds=("stranger",)) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint)
        calls = [
            lambda: s3_store.get("x"), lambda: s3_store.put("x", b"1"), lambda: s3_store.put("x", b"1", if_absent=True),
            lambda: s3_store.put("x", tmp_path / "big"), lambda: s3_store.exists("x"), lambda: s3_store.size("x"),
            lambda: list(s3_store.list("")), lambda: s3_store.delete("x"),
            lambda: s3_store.download("x", tmp_path / "x"),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(ModelError, match=r"denies .*XAdminUserNotFound.*check the credentials"):
                call()


def test_a_missing_bucket_is_named(s3_environment):
    store = open_store("s3://no-such-bucket/x")
    for use in (
        lambda: store.put("y", b"1"),
        lambda: store.exists("y"),
        lambda: store.get("y"),
        lambda: store.size("y"),
    ):
        with pytest.raises(DataError, match=r"no store at .*no bucket 'no-such-bucket'"):
            use()


def test_an_endpoint_that_is_not_there_is_transient(s3_store, other_s3_environment):
    other_s3_environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_ports(1)[0]}", AWS_MAX_ATTEMPTS="2")
    for use in (
        lambda: s3_store.get("x"),
        lambda: s3_store.put("x", b"1"),
        lambda: s3_store.exists("x"),
        lambda: list(s3_store.list("")),
    ):
        with pytest.raises(TransientError, match="stayed out of reach after 2 attempts"):
            use()


def test_an_endpoint_that_is_no_url_is_a_usage_error(s3_store, other_s3_environment):
    other_s3_environment(AWS_ENDPOINT_URL="not-a-url")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL"):
        s3_store.get("x")


@pytest.mark.parametrize("kind", ["503", "dropped"])
def test_a_server_that_always_fails_is_transient(s3_store, weed, other_s3_environment, tmp_path, kind):
    (tmp_path / "big").write_bytes(bytes(20 << 20))
    with FaultyProxy(weed.endpoint, percent=100, kinds=(kind,)) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint, AWS_MAX_ATTEMPTS="2")
        for use in (
            lambda: s3_store.get("x"),
            lambda: s3_store.put("x", b"1"),
            lambda: s3_store.put("x", tmp_path / "big"),
        ):
            with pytest.raises(TransientError):
                use()
        assert proxy.requests >= 6


def test_a_body_that_always_breaks_off_is_transient(s3_store, weed, other_s3_environment, tmp_path):
    s3_store.put("x", b"0123456789")
    with FaultyProxy(weed.endpoint, percent=100, kinds=("cut",)) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint, AWS_MAX_ATTEMPTS="2")
        path = tmp_path / "x"
        for use in (
            lambda: s3_store.get("x"),
            lambda: s3_store.get("x", start=2, length=6),
            lambda: s3_store.download("x", path),
        ):
            with pytest.raises(TransientError, match="out of reach"):
                use()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_lost_when_a_tenth_of_the_requests_fail(s3_store, weed, other_s3_environment, tmp_path):
    contents = {f"small/{n:03d}": os.urandom(2000 + n) for n in range(60)} | {"big.tar": os.urandom(24 << 20)}
    with FaultyProxy(weed.endpoint, percent=10, seed=3) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint)
        for key, data in contents.items():
            s3_store.put(key, data)
        assert list(s3_store.list("")) == sorted(contents)
        for key, data in contents.items():
            assert s3_store.get(key) == data
            assert s3_store.size(key) == len(data)
        assert s3_store.get("big.tar", start=1 << 20, length=20 << 20) == contents["big.tar"][1 << 20 : 21 << 20]
        s3_store.download("big.tar", tmp_path / "big")
        assert (tmp_path / "big").read_bytes() == contents["big.tar"]
        assert proxy.faults >= 15


def test_an_import_and_an_index_over_a_failing_endpoint_equal_those_on_disk(
    s3_store, weed, other_s3_environment, tmp_path
):
    samples = [Sample(f"s{n:03d}", n % 3, jpeg(n)) for n in range(60)]
    stores = [open_store(tmp_path / "store", create=True), s3_store]
    with FaultyProxy(weed.endpoint, percent=10, seed=1) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint)
        for store in stores:
            pack(store, "train", samples, classes=["a", "b", "c"], tar_bytes=20_000)
            job = made_job(store)
            make_images(job, tmp_path)
            index.run(job)
        assert proxy.faults >= 5
    other_s3_environment(AWS_ENDPOINT_URL=weed.endpoint)
    contents = [{key: store.get(key) for key in store.list("") if "/timing/" not in key} for store in stores]
    assert contents[0] == contents[1]


PUT_BIG = """
import sys
from pathlib import Path
from synaug.data.store import open_store
open_store(sys.argv[1]).put("big.tar", Path(sys.argv[2]))
"""


def test_an_abandoned_upload_leaves_nothing_once_it_was_repeated(s3_store, weed, tmp_path, monkeypatch):
    data = os.urandom(36 << 20)
    (tmp_path / "big").write_bytes(data)
    with StallingProxy(weed.endpoint, percent=0) as proxy:
        process = subprocess.Popen(
            [sys.executable, "-c", PUT_BIG, s3_store.url, str(tmp_path / "big")],
            env=os.environ | {"AWS_ENDPOINT_URL": proxy.endpoint},
        )
        assert proxy.stalled.wait(30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    client = clients(os.getpid())
    prefix = {"Bucket": BUCKET, "Prefix": s3_store.prefix}
    assert not s3_store.exists("big.tar")
    assert len(client.list_multipart_uploads(**prefix)["Uploads"]) == 1  # what must not stay
    s3_store.put("big.tar", tmp_path / "big")
    assert s3_store.get("big.tar") == data
    assert len(client.list_multipart_uploads(**prefix)["Uploads"]) == 1  # young: another pod may be busy with it
    monkeypatch.setattr(s3, "ABANDONED", timedelta(0))
    s3_store.put("big.tar", tmp_path / "big")
    assert "Uploads" not in client.list_multipart_uploads(**prefix)


class StallingProxy(FaultyProxy):
    """Lets an upload's first parts through and holds the third for ever: a moment at which to kill its process."""

    def __init__(self, *arguments, **more) -> None:
        super().__init__(*arguments, **more)
        self.parts, self.stalled, self._never = 0, threading.Event(), threading.Event()

    def fault(self, path: str) -> str | None:
        if "partNumber=" in path:
            with self._lock:
                self.parts += 1
            if self.parts >= 3:
                self.stalled.set()
                self._never.wait(60)
                return "dropped"
        return super().fault(path)

    def __exit__(self, *error) -> None:
        self._never.set()
        super().__exit__(*error)


def test_a_server_that_is_away_for_a_while_is_waited_for(s3_store, weed, other_s3_environment, tmp_path, monkeypatch):
    """Every call; longer than all attempts of botocore."""
    s3_store.put("x", b"1")
    other_s3_environment(SYNAUG_STORE_PATIENCE="30", AWS_MAX_ATTEMPTS="1")
    monkeypatch.setattr(s3, "PAUSE", 0.05)
    calls = [
        lambda: s3_store.get("x"), lambda: s3_store.put("y", b"2"), lambda: s3_store.put("z", b"3", if_absent=True),
        lambda: s3_store.exists("x"), lambda: s3_store.size("x"), lambda: list(s3_store.list("")),
        lambda: s3_store.download("x", tmp_path / "x"), lambda: s3_store.delete("y"),
    ]  # fmt: skip
    for call in calls:
        with AwayProxy(weed.endpoint, percent=100, kinds=("503", "dropped")) as proxy:
            other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint)
            call()
            assert proxy.faults == 3
    assert (tmp_path / "x").read_bytes() == b"1" and s3_store.get("z") == b"3"


class AwayProxy(FaultyProxy):
    """Back after three requests."""

    def fault(self, path: str) -> str | None:
        self.percent = 0 if self.faults >= 3 else self.percent
        return super().fault(path)


def test_an_account_that_may_not_list_uploads_can_put_large_objects(s3_store, weed, other_s3_environment, tmp_path):
    (tmp_path / "big").write_bytes(bytes(17 << 20))
    with DenyingProxy(weed.endpoint, percent=0) as proxy:
        other_s3_environment(AWS_ENDPOINT_URL=proxy.endpoint)
        s3_store.put("big.tar", tmp_path / "big")
        assert proxy.denied
    assert s3_store.size("big.tar") == 17 << 20


class DenyingProxy(FaultyProxy):
    """Answers the list of uploads in parts with 403."""

    denied = 0

    def fault(self, path: str) -> str | None:
        if re.search(r"[?&]uploads&", path + "&") and "prefix=" in path:
            self.denied += 1
            return "denied"
        return super().fault(path)
