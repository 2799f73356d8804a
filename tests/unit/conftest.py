import pytest

from synaug.data.store import open_store
from tests.unit.training import helpers


@pytest.fixture
def empty(tmp_path):
    """A store on disk."""
    (tmp_path / "store").mkdir()
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def disk(empty):
    """A store on disk with the splits `train` and `more` and an indexed run r of 2x."""
    return helpers.filled(empty)
