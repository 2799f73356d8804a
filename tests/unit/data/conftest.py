import pytest

from synaug.data.split_writer import Sample, pack
from synaug.data.store import open_store
from tests.pictures import jpeg


@pytest.fixture
def real_store(tmp_path):
    """60 images of crane, 30 of owl, 12 of cat, 5 of a class that no run has."""
    store = open_store(tmp_path / "real", create=True)
    labels = [0] * 60 + [1] * 30 + [2] * 12 + [3] * 5
    samples = [Sample(f"s{n:03d}", label, jpeg(n % 20)) for n, label in enumerate(labels)]
    pack(store, "train", samples, classes=["crane", "owl", "cat", "stranger"], tar_bytes=40_000)
    return store
