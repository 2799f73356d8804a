import pytest

from synaug.data.manifest import Manifest, TarTable

COLUMNS = {"key": ["a", "b", "c"], "label": [0, 1, 0], "offset": [512, 2048, 4096], "length": [7, 8, 9]}
TABLE = TarTable(tar="real/train-000000.tar", sha256="0" * 64, bytes=10_240, **COLUMNS)
MANIFEST = Manifest(
    **TABLE.model_dump(),
    class_id=["owl", "cat", "owl"],
    kind=["plain", "cd", "sd"],
    clip_score=[0.1, 0.2, 0.3],
    attempt=[0, 0, 1],
    batch_size=2,
    threads=1,
    prompts_sha256={},
    model="painter@r1",
    versions={},
)


def test_rows_are_taken_in_the_order_asked_for_and_the_tar_stays_described():
    found = TABLE.select([2, 0])
    assert (found.key, found.label, found.offset, found.length) == (["c", "a"], [0, 0], [4096, 512], [9, 7])
    assert (found.tar, found.sha256, found.bytes) == (TABLE.tar, TABLE.sha256, TABLE.bytes)
    assert TABLE.select(n for n in range(3)) == TABLE and TABLE.select([]).key == []


def test_rows_of_a_manifest_make_a_plain_table():
    assert MANIFEST.select(range(3)) == TABLE and type(MANIFEST.select([0])) is TarTable


def test_a_row_has_names():
    first, *_, last = MANIFEST.rows()
    assert (first.key, first.label, first.offset, first.length) == ("a", 0, 512, 7)
    assert (last.class_id, last.kind, last.clip_score, last.attempt) == ("owl", "sd", 0.3, 1)
    assert [row.key for row in TABLE.rows()] == TABLE.key


def test_columns_of_unequal_length_are_no_rows():
    with pytest.raises(ValueError, match="zip"):
        list(TABLE.model_copy(update={"length": [7]}).rows())
