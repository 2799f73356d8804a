import pytest

from synaug.config.load import parse_config
from synaug.config.scale import parse_scale
from synaug.errors import UsageError


@pytest.mark.parametrize("text", ["0x", "six", "-1x", "1.5x", "6", "x", "06x"])
def test_scales_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="is no scale; give a whole multiple"):
        parse_scale(text)


def test_a_scale_is_its_multiple():
    assert parse_scale("12x") == 12


def test_a_configuration_and_its_arms_know_their_multiple_and_keep_the_text():
    config = parse_config("{scale: 6x, arms: {a: {kind: naive, scale: 2x}, b: {kind: naive}}}")
    assert (config.multiple, config.arms["a"].multiple, config.arms["b"].multiple) == (6, 2, None)
    assert config.model_dump()["scale"] == "6x" and "multiple" not in config.model_dump()["arms"]["a"]
