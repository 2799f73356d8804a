import pytest

from synaug.config import Config
from synaug.data.classes import imagenet_classes, load_classes, parse_classes, slug
from synaug.errors import UsageError


def test_imagenet_has_its_thousand_synsets_in_label_order():
    classes = load_classes(Config(classes="imagenet-1k"), base_folder=None)
    assert len(classes) == len({entry.id for entry in classes}) == 1000
    assert (classes[0].id, classes[0].names) == ("n01440764", ["tench", "Tinca tinca"])
    assert all(entry.names and entry.gloss for entry in classes)


@pytest.mark.parametrize(
    ("name", "meanings"),
    [
        ("crane", {"n02012849": "wading bird", "n03126707": "lifts and moves heavy objects"}),
        ("maillot", {"n03710637": "tights for dancers", "n03710721": "one-piece bathing suit"}),
    ],
)
def test_two_classes_of_one_name_stay_apart(name, meanings):
    found = {entry.id: entry for entry in imagenet_classes() if entry.name == name}
    assert found.keys() == meanings.keys()
    for class_id, meaning in meanings.items():
        assert meaning in found[class_id].gloss


def test_classes_come_from_a_file_beside_run_yaml_or_inline(tmp_path):
    (tmp_path / "birds.yaml").write_text(
        "- {id: crane, names: [crane, Grus grus], gloss: a bird}\n- {id: 'no-2', names: owl}\n"
    )
    from_file = load_classes(Config(classes="birds.yaml"), tmp_path)
    crane, owl = from_file
    assert (crane.id, crane.names, crane.gloss) == ("crane", ["crane", "Grus grus"], "a bird")
    assert (owl.id, owl.names, owl.gloss) == ("no-2", ["owl"], None)
    items = [{"id": "crane", "names": ["crane", "Grus grus"], "gloss": "a bird"}, {"id": "no-2", "names": "owl"}]
    assert load_classes(Config(classes=items), tmp_path) == from_file


def test_two_classes_may_share_a_name_but_not_an_id():
    twice = [{"id": "crane-1", "names": ["crane"]}, {"id": "crane-2", "names": ["crane"]}]
    assert [entry.name for entry in parse_classes(twice, "x")] == ["crane", "crane"]
    with pytest.raises(UsageError, match=r"birds\.yaml: 2 classes have the id 'crane-1'"):
        parse_classes([*twice, twice[0]], "birds.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- {id: a, names: [x], glos: y}", r"classes\.yaml: class 1 .*glos.*allowed are id, names, gloss, prompts"),
        ("- {id: a b, names: [x]}", r"class 1 .*: id: "),
        ("- {id: a.b, names: [x]}", r"class 1 .*: id: "),
        ("- {id: a, names: []}", r"class 1 .*: names: "),
        ("- {id: ok, names: [x]}\n- {names: [x]}", r"class 2 .*: id: "),
        ("- crane", r"class 1 \('crane'\)"),
        ("{a: b}", "holds no list of classes"),
        ("", "holds no list of classes"),
        ("- {id: [", "does not parse as YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, text, line):
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(UsageError, match=line) as caught:
        load_classes(Config(classes="classes.yaml"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"no class list .*nowhere\.yaml; give imagenet-1k, or a YAML file"):
        load_classes(Config(classes="nowhere.yaml"), tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Café (big)", "Cafe-big"),
        ("T-shirt_top", "T-shirt_top"),
        ("a.b", "a-b"),
        ("n02012849", "n02012849"),
        ("_x", "x"),
        ("!!", ""),
    ],
)
def test_a_slug_is_fit_for_an_id(name, expected):
    assert slug(name) == expected
