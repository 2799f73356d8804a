import pytest

from synaug.store import open_store


@pytest.fixture
def empty(tmp_path):
    """A store on disk."""
    (tmp_path / "store").mkdir()
    return open_store(str(tmp_path / "store"))
