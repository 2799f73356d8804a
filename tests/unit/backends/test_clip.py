import pytest
import torch
from PIL import Image

from synaug.backends.clip import OpenCLIP, open_clip_model
from synaug.backends.resolve import resolve_clip
from synaug.config import Config
from synaug.errors import ModelError
from synaug.run.plan import ModelInfo

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def config(**settings):
    return Config.model_validate({"prompts": {"clip": settings}, "compute": {"device": "cpu"}})


@pytest.fixture(scope="module")
def pictures():
    return [Image.new("RGB", (48, 32), colour) for colour in ("red", "white", "black")] + [Image.new("L", (32, 32), 90)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import json

    import open_clip

    folder = tmp_path_factory.mktemp("clip")
    (folder / "synaug-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "synaug-tiny.json")
    return OpenCLIP(ModelInfo(role="clip", name="tiny", revision="0", license="none"), "synaug-tiny", None, "cpu")


def test_open_clip_embeds_to_unit_length(tiny, pictures):
    for vectors, rows in ((tiny.embed_texts(["a dog", "a cat"]), 2), (tiny.embed_images(pictures), 4)):
        assert vectors.shape == (rows, 16) and vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(rows), atol=1e-5)


def test_the_embedded_clip_embeds_to_unit_length_whatever_stands_beside(pictures):
    clip = open_clip_model(config())
    vectors = clip.embed_images(pictures)
    assert vectors.shape == (4, 384) and torch.allclose(vectors.norm(dim=-1), torch.ones(4), atol=1e-5)
    assert torch.allclose(vectors[1:2], clip.embed_images(pictures[1:2]), atol=1e-5)


def test_the_embedded_clip_knows_its_texts():
    texts = open_clip_model(config()).embed_texts(["a photo of a sandal", "a picture of a sandal", "a photo of a coat"])
    assert texts[0] @ texts[1] > texts[0] @ texts[2]


def test_the_embedded_clip_is_resolved_by_its_weights():
    assert resolve_clip(config()).revision.startswith("sha256:")


def test_an_unknown_model_is_refused_with_a_near_name():
    with pytest.raises(ModelError, match=r"did you mean ViT-B-32\?"):
        resolve_clip(config(model="ViT-B-33", pretrained="openai"))


def test_unknown_weights_are_refused_with_those_there_are():
    with pytest.raises(ModelError, match=r"has no weights 'nobody'.*openai"):
        resolve_clip(config(model="ViT-B-32", pretrained="nobody"))


def test_weights_of_the_hub_are_those_of_the_pinned_commit(tmp_path, tiny, monkeypatch):
    """Two commits in the cache, the newer one is `main`; as offline in a pod."""
    from open_clip import pretrained
    from safetensors.torch import save_file

    repository, commits = tmp_path / "models--nobody--tiny", ("a" * 40, "b" * 40)
    for value, commit in enumerate(commits):
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True)
        weights = {key: torch.full_like(tensor, value).contiguous() for key, tensor in tiny.model.state_dict().items()}
        save_file(weights, folder / "open_clip_model.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commits[1])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(
        pretrained._PRETRAINED, "synaug-tiny", {"ours": {"hf_hub": "nobody/tiny/", "mean": (0.1, 0.2, 0.3)}}
    )
    settings = config(model="synaug-tiny", pretrained="ours", revision=commits[0])
    assert resolve_clip(settings).revision == commits[0]
    loaded = open_clip_model(settings)
    assert all(bool((tensor == 0).all()) for tensor in loaded.model.state_dict().values())
    assert tuple(loaded.transform.transforms[-1].mean) == (0.1, 0.2, 0.3)
