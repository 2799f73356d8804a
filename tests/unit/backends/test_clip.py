import pytest
import torch
from PIL import Image

from synaug.backends.clip import OpenCLIP, open_clip_model, tag_arguments
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
    return OpenCLIP(ModelInfo(role="clip", name="tiny", revision="0", license="none"), "synaug-tiny", {}, "cpu")


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
    tag = {"hf_hub": "nobody/tiny/", "mean": (0.1, 0.2, 0.3), "quick_gelu": True}
    monkeypatch.setitem(pretrained._PRETRAINED, "synaug-tiny", {"ours": tag})
    settings = config(model="synaug-tiny", pretrained="ours", revision=commits[0])
    assert resolve_clip(settings).revision == commits[0]
    loaded = open_clip_model(settings)
    assert all(bool((tensor == 0).all()) for tensor in loaded.model.state_dict().values())
    assert tuple(loaded.transform.transforms[-1].mean) == (0.1, 0.2, 0.3)
    assert activations(loaded.model) == {"QuickGELU"}


def activations(model) -> set[str]:
    """The kinds of activation in a model's blocks."""
    return {type(m).__name__ for m in model.modules() if type(m).__name__ in ("QuickGELU", "GELU")}


FAMILIES = [
    ("ViT-L-14", "openai"),
    ("RN50", "openai"),
    ("ViT-L-14", "dfn2b"),
    ("ViT-L-14", "dfn2b_s39b"),
    ("ViT-H-14-378-quickgelu", "dfn5b"),
    ("ViT-H-14", "metaclip_fullcc"),
    ("ViT-B-32", "laion2b_s34b_b79k"),
    ("ViT-B-16-SigLIP2", "webli"),
    ("ViT-gopt-16-SigLIP2-384", "webli"),
    ("PE-Core-L-14-336", "meta"),
    ("PE-Core-B-16", "meta"),
    ("MobileCLIP2-S0", "dfndr2b"),
]


@pytest.mark.parametrize(("model", "tag"), FAMILIES)
def test_a_model_is_built_and_fed_as_its_tag_says(model, tag):
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg
    from open_clip.transform import image_transform_v2

    said = get_pretrained_cfg(model, tag)
    assert said
    with torch.device("meta"):
        built, _, transform = open_clip.create_model_and_transforms(
            model, device="meta", pretrained_text=False, **tag_arguments(said)
        )
    assert activations(built) == {"QuickGELU" if said.get("quick_gelu") else "GELU"}
    prepared = built.visual.preprocess_cfg
    for key in ("mean", "std", "interpolation", "resize_mode"):
        assert prepared[key] == said[key], key
    assert repr(transform) == repr(image_transform_v2(open_clip.transform.PreprocessCfg(**prepared), is_train=False))


def test_in_16_bits_the_vectors_stay_close_and_of_unit_length(tiny, pictures, monkeypatch):
    monkeypatch.setattr("synaug.backends.clip.choose_precision", lambda device: "bf16")
    torch.manual_seed(0)
    half = OpenCLIP(tiny.info, "synaug-tiny", {}, "cpu")
    half.model.load_state_dict(tiny.model.state_dict())
    for ours, theirs in (
        (half.embed_images(pictures), tiny.embed_images(pictures)),
        (half.embed_texts(["a dog", "a cat"]), tiny.embed_texts(["a dog", "a cat"])),
    ):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours.norm(dim=-1), torch.ones(len(ours)), atol=1e-5)
        assert (ours * theirs).sum(-1).min() > 0.999
