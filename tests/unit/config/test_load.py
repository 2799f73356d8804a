"""A configuration is loaded whole or refused in one line that says what is allowed."""

import pytest
import yaml

from synaug.config.load import PRESETS, dump_config, load_config, parse_config
from synaug.errors import UsageError


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_load(preset, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.yaml").write_text("- {id: a, names: [a]}\n")
    assert load_config(preset).arms


def test_overrides_are_yaml_and_win():
    config = load_config(
        "demo", ["images.guidance_scale=2.0", "seeds=[4, 5]", "images.revision=null", "arms.real.kind=real-half"]
    )
    assert (config.images.guidance_scale, config.seeds, config.images.revision) == (2.0, [4, 5], None)
    assert config.arms["real"].kind == "real-half"


def test_classes_and_styles_are_read_beside_run_yaml_and_stand_inline(tmp_path):
    (tmp_path / "birds.yaml").write_text("- {id: crane, names: [crane]}\n")
    (tmp_path / "styles.yaml").write_text("- an etching\n")
    (tmp_path / "run.yaml").write_text("classes: birds.yaml\nprompts: {styles: styles.yaml}\n")
    config = load_config(tmp_path / "run.yaml")
    assert config.classes == [{"id": "crane", "names": ["crane"]}]
    assert config.prompts.styles == ["an etching"]


def test_a_dumped_configuration_loads_equal():
    config = load_config("demo", ["images.guidance_scale=1.25"])
    assert parse_config(dump_config(config)) == config
    assert set(yaml.safe_load(dump_config(config))) == set(type(config).model_fields)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("images.guidence_scale=2", r"demo: unknown key images\.guidence_scale; did you mean images\.guidance_scale\?"),
        ("guidance_scale=2", r"unknown key guidance_scale; did you mean images\.guidance_scale\?"),
        ("imges.batch_size=2", r"unknown key imges; did you mean images\?"),
        ("prompts.llm.temprature=1", r"unknown key prompts\.llm\.temprature; did you mean prompts\.llm\.temperature\?"),
        ("training.augmentation.flop=true", r"did you mean training\.augmentation\.flip\?"),
        ("arms.real.knd=real", r"unknown key arms\.real\.knd; did you mean arms\.real\.kind\?"),
        ("arms.real.settings.lrr=1", r"unknown key arms\.real\.settings\.lrr; did you mean arms\.real\.settings\.lr\?"),
        ("arms.real.settings.lr=-1", r"arms\.real\.settings\.lr: -1 must be greater than 0"),
        ("tests.test.splt=x", r"did you mean tests\.test\.split\?"),
        ("images.batch_size=many", r"images\.batch_size: 'many' is given, integer is allowed"),
        ("images.batch_size=1.5", r"images\.batch_size: 1\.5 is given, integer is allowed"),
        ("images=3", r"images: 3 is given, a section is allowed"),
        ("images.dtype=fp8", r"images\.dtype: 'fp8' must be 'auto', 'float32', 'bfloat16' or 'float16'"),
        ("arms.real.kind=fast", r"arms\.real\.kind: 'fast' must be 'real', 'real-half', 'naive', 'auxbn' or 'oracle'"),
        ("prompts.mix.plain=0.9", r"prompts\.mix: the shares add up to 1\.2; they must add up to 1"),
        ("scale=0x", r"scale: '0x' is no scale; give a whole multiple"),
        ("arms.real.scale=six", r"arms\.real\.scale: 'six' is no scale"),
        ("seeds=[]", r"seeds: \[\] list should have at least 1 item"),
        ("images.batch_size", r"'images\.batch_size' is no override; write FIELD=VALUE"),
        ("seeds=[1", r"seeds=\[1 is no YAML"),
        ("seed.deep=1", r"seed\.deep|seed: .* integer is allowed"),
    ],
)
def test_mistakes_are_one_line(override, line):
    with pytest.raises(UsageError, match=line) as refused:
        load_config("demo", [override])
    assert "\n" not in str(refused.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"no configuration file 'nowhere\.yaml'; give a run\.yaml, or a preset: demo"):
        load_config("nowhere.yaml")
    (tmp_path / "run.yaml").write_text("classes: birds.yaml\n")
    with pytest.raises(UsageError, match=r"classes: there is no file '.*birds\.yaml'; write it"):
        load_config(tmp_path / "run.yaml")
