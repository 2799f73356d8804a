"""Stores for the tests: those of the `store` fixture run on disk and on a real S3 server, with the same assertions."""

import uuid
from multiprocessing import forkserver

import pytest

from tests.weed import BUCKET, KEYS, Weed


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    """A running SeaweedFS, one a test process."""
    with Weed(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_environment(weed):
    """The environment that boto3 reads, for this process and those it starts."""
    values = KEYS | {
        "AWS_ENDPOINT_URL": weed.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield values


@pytest.fixture
def other_s3_environment(s3_environment, monkeypatch):
    """change(NAME=value): another environment for the rest of the test.

    New clients read it, and wait for no server to come back.
    """
    from synaug.data import s3_store

    monkeypatch.setenv("SYNAUG_STORE_PATIENCE", "0")

    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        s3_store.clients.cache_clear()

    yield change
    s3_store.clients.cache_clear()


@pytest.fixture(params=["disk", "s3"])
def store_url(request, tmp_path):
    """URL of a new, empty store."""
    if request.param == "disk":
        (tmp_path / "store").mkdir()
        return str(tmp_path / "store")
    request.getfixturevalue("s3_environment")
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def store(store_url):
    """A new, empty store, on disk and on S3."""
    from synaug.data.store import open_store

    return open_store(store_url)


@pytest.fixture
def own_forkserver():
    """The server that an earlier test of this process started has other modules preloaded and another environment."""
    forkserver._forkserver._stop()  # there for unit tests, says its comment
    yield
    forkserver._forkserver._stop()
