"""Without the extra `cluster` the client says in one line what to install."""

import importlib.util

import pytest

from pipelines.__main__ import main


@pytest.mark.parametrize("arguments", [[], ["--help"], ["submit", "--config", "demo"]], ids=" ".join)
def test_the_client_without_its_packages_names_the_extra(arguments, monkeypatch, capsys):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "hera" else there(name, *rest))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "hera not installed" in err and "pip install 'synaug[cluster]'" in err
