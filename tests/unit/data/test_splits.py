from collections import Counter

import pytest

from synaug.data.classes import ClassEntry
from synaug.data.split_writer import Sample, pack
from synaug.data.splits import check_split, load_split, split_pool
from synaug.errors import DataError, UsageError
from tests.pictures import jpeg

# In another order than the split has them.
CLASSES = [ClassEntry(id=class_id, names=["x"]) for class_id in ("owl", "crane", "cat")]


def test_labels_are_matched_by_class_id(real_store):
    tables = split_pool(real_store, "train", CLASSES)
    assert Counter(label for table in tables for label in table.label) == {1: 60, 0: 30, 2: 12, -1: 5}


def test_a_split_that_was_not_imported_is_named_with_those_that_were(real_store):
    with pytest.raises(DataError, match=r"no split 'val' in the store .*; imported: train; `synaug import` adds one"):
        split_pool(real_store, "val", CLASSES)


@pytest.mark.parametrize("name", ["train-000001", "a.b", "", "1st", "a/b"])
def test_a_split_name_that_would_collide_is_refused(store, name):
    with pytest.raises(UsageError, match="cannot name a split"):
        check_split(name)
    with pytest.raises(UsageError, match="cannot name a split"):
        pack(store, name, [Sample("a", 0, jpeg(0))], classes=["cat"])


def test_a_split_keeps_its_own_labels_when_it_is_loaded(real_store):
    split, tables = load_split(real_store, "train")
    assert split.classes == ["crane", "owl", "cat", "stranger"]
    assert Counter(label for table in tables for label in table.label) == {0: 60, 1: 30, 2: 12, 3: 5}
