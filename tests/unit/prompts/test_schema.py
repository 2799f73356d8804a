"""Reading a prompts file checks it: people edit these files."""

import json

import pytest

from synaug.data import layout
from synaug.data.store import open_store
from synaug.errors import DataError
from synaug.prompts.schema import ClassPrompts, load_prompts, parse_prompts

BOOT = ClassPrompts(
    class_id="boot",
    name="ankle boot",
    senses=[],
    chosen="",
    pools={
        "foreground": ["worn brown"],
        "background": ["on a beach"],
        "lighting": ["backlit"],
        "angle": ["in close-up"],
    },
    plain=["a photo of an ankle boot"],
)


def broken(change):
    text = json.dumps(json.loads(BOOT.model_dump_json()), indent=2)
    return change(text).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace('"pools": {', '"pools": {,'),
            r"boot\.json is no JSON any more \(line \d+, column 13",
        ),
        (lambda text: text.replace('"chosen"', '"chosn"'), r"boot\.json line \d+, field chos"),
        (lambda text: text.replace('"on a beach"', "3"), r"boot\.json line 13, field pools\.background\.0: .*string"),
        (
            lambda text: text.replace('"lighting"', '"light"'),
            r"boot\.json line 16: pools has light; allowed: foreground",
        ),
        (lambda text: text.replace('"class_id": "boot"', '"class_id": "bag"'), r"boot\.json line 2: class_id is 'bag'"),
        (lambda text: text.replace("a photo of an ankle boot", " "), r"plain holds no prompt"),
    ],
)
def test_a_broken_edit_is_told_with_file_line_and_field(change, message):
    with pytest.raises(DataError, match=message) as raised:
        parse_prompts(broken(change), "boot.json", "boot")
    assert "\n" not in str(raised.value)


def test_an_edit_is_respected_and_changes_the_digest(tmp_path):
    (tmp_path / "store").mkdir()
    store = open_store(str(tmp_path / "store"))
    store.put(layout.prompts("run", "boot"), broken(lambda text: text))
    before = load_prompts(store, "run", "boot")
    store.put(layout.prompts("run", "boot"), broken(lambda text: text.replace("on a beach", "on the moon")))
    after = load_prompts(store, "run", "boot")
    assert after[0].pools["background"] == ["on the moon"] and before[1] != after[1]
