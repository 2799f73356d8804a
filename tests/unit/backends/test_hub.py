import pytest

from synaug.backends import hub
from synaug.errors import ModelError


def test_a_model_that_is_neither_here_nor_reachable_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"no such model or revision, offline: nobody/nothing at 'v1'.*images.model"):
        hub.resolve("nobody/nothing", "v1", role="diffusion")


def test_offline_mode_asks_nobody(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="not in the local cache"):
        hub.resolve("nobody/nothing", None, role="llm")


def test_what_is_no_name_at_all_is_refused():
    with pytest.raises(ModelError, match="neither a folder nor a hub name"):
        hub.resolve("no such/folder/here", None, role="llm")


def test_a_folder_is_known_by_its_contents(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    before = hub.resolve(str(tmp_path), None, role="llm")
    assert before == hub.resolve(str(tmp_path), None, role="llm")
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert before != hub.resolve(str(tmp_path), None, role="llm")
