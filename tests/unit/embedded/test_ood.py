"""What out-of-domain sets are drawn with is in no other set, and nothing that the generator and CLIP have seen."""

import ast
import inspect
from itertools import combinations

import numpy as np
import pytest

from recipes import contexts
from synaug.embedded import ood
from synaug.embedded.datasets import photos
from synaug.embedded.ood import reported, tuning

MODULES = {"reported": reported, "tuning": tuning, "seen": contexts}
COLOURS = {"reported": reported.PALETTE, "tuning": tuning.INKS, "seen": contexts.COLOURS}
SEEN_WORDS = {
    *contexts.PATTERNS,
    *contexts.MATERIALS,
    *contexts.STYLES,
    *contexts.LIGHTS,
    *contexts.SCENES,
    *(texture for _, _, texture in contexts.SCENES.values()),
    "striped wall",
    "polka dot wallpaper",
    "fading backdrop",
}
PAIRS = list(combinations(MODULES, 2))
WORDS = {
    "reported": {*reported.BACKGROUNDS, *reported.NOISES},
    "tuning": {*tuning.BACKGROUNDS, *tuning.NOISES},
    "seen": SEEN_WORDS,
}


def functions(module) -> dict[str, str]:
    """Source of each function by name, without its docstring and its names of variables."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = ast.dump(ast.Module(node.body[bool(ast.get_docstring(node)) :], []))
    return found


def statements(module) -> set[str]:
    """Every statement that draws: assignments and returns with a call or an operation in them."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Assign | ast.Return) and node.value and len(ast.dump(node.value)) > 250:
            found.add(ast.dump(node.value))
    return found


@pytest.mark.parametrize("one, other", PAIRS)
def test_names_of_backgrounds_noises_and_styles_do_not_intersect(one, other):
    def words(texts):
        return {word for text in texts for word in text.split()} - {"noise", "photo", "picture", "a", "in", "on", "the"}

    assert not words(WORDS[one]) & words(WORDS[other])


@pytest.mark.parametrize("one, other", PAIRS)
def test_colours_differ_by_name_and_visibly_by_value(one, other):
    assert not COLOURS[one].keys() & COLOURS[other].keys()
    distances = {
        (a, b): np.linalg.norm(np.subtract(x, y)) for a, x in COLOURS[one].items() for b, y in COLOURS[other].items()
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] > 0.1, closest


@pytest.mark.parametrize("one, other", PAIRS)
def test_no_drawing_code_is_shared(one, other):
    first, second = functions(MODULES[one]), functions(MODULES[other])
    assert not (first.keys() & second.keys()) - {"contexts", "noise", "sketch"}  # the entries of the two kinds of sets
    assert not set(first.values()) & set(second.values())
    assert not statements(MODULES[one]) & statements(MODULES[other])


@pytest.mark.parametrize("module", list(MODULES.values()))
def test_modules_import_nothing_of_each_other(module):
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {"numpy", "scipy", "dataclasses"}


@pytest.mark.parametrize("name", list(ood.SETS))
def test_sets_are_seeded_balanced_and_differ_from_their_photos(name, monkeypatch):
    one = ood.SETS[name]
    tiles, labels, _ = photos(one.source)
    few = np.concatenate([np.flatnonzero(labels == label)[:6] for label in range(10)])
    padded, labels = np.pad(tiles[few], ((0, 0), (2, 2), (2, 2))) / 255, labels[few]
    monkeypatch.setitem(ood.SETS, name, ood.OodSet(one.source, 40, one.seed, one.draw, one.note))
    drawn, chosen = ood.draw(name, padded, labels)
    again, _ = ood.draw(name, padded, labels)
    assert np.array_equal(drawn, again)
    assert drawn.shape == (40, 32, 32, 3) and drawn.min() >= 0 and drawn.max() <= 1
    assert np.bincount(labels[chosen]).tolist() == [4] * 10 and len(set(chosen)) == 40
    assert (np.abs(drawn - padded[chosen][..., None]).mean((1, 2, 3)) > 0.02).all()


@pytest.mark.parametrize("name", list(ood.SETS))
def test_garments_can_still_be_told_from_the_ground(name):
    one = ood.SETS[name]
    tiles, _, _ = photos(one.source)
    padded = np.pad(tiles[:24], ((0, 0), (2, 2), (2, 2))) / 255
    drawn = np.clip(one.draw(padded, np.random.default_rng(0)), 0, 1)
    inside = padded > 0.1
    apart = [
        np.abs(picture[mask].mean(0) - picture[~mask].mean(0)).max()
        for picture, mask in zip(drawn, inside, strict=True)
    ]
    assert np.median(apart) > 0.08
